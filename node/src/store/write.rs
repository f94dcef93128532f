//! What goes into the next write: everything that arrived, in one batch (D1), or what opens and closes files (D5).

use super::data_batch::BatchBody;
use super::files::FileState;
use super::flights::{Flight, Placed};
use super::index::{ChunkKey, Place};
use super::open_file::{OpenFile, Scheduled};
use super::pace::{BATCH_BYTES_EAGER, COPY_BYTES_BESIDE_APPENDS, QUIET_US};
use super::{Store, StoreEffect};
use quarry_protocol::batch::{BatchHeader, BatchKind, padded};
use quarry_protocol::chunk::ChunkHeader;
use quarry_protocol::limits::{
    BATCH_BYTES_SOFT_MAX, BATCH_ENTRIES_MAX, BATCHES_IN_FLIGHT_MAX, BLOCK_BYTES, CHUNK_HEADER_BYTES, FILES_IN_RESERVE,
};
use quarry_protocol::planted;
use quarry_protocol::replica::{Slot, ToStore};
use quarry_protocol::snapshot::Record;
use quarry_protocol::time::Micros;

/// A batch that is about to be written.
struct Batch {
    kind: BatchKind,
    part: u32,
    parts: u32,
    position: u64,
    body: BatchBody,
    chunks: Vec<Placed>,
    slots: Vec<Slot>,
    order_through: Option<u64>,
    omits: Vec<u32>,
}

impl Batch {
    fn new(kind: BatchKind, position: u64, body: BatchBody) -> Self {
        let (chunks, slots, omits) = (Vec::new(), Vec::new(), Vec::new());
        Self { kind, part: 0, parts: 1, position, body, chunks, slots, order_through: None, omits }
    }

    /// Makes room for so many chunks, so that none of them allocates.
    fn reserve_chunks(&mut self, chunks: usize) {
        self.body.reserve_chunks(chunks);
        self.chunks.reserve_exact(chunks);
        self.slots.reserve_exact(chunks);
    }

    fn place(&mut self, file: u32, header: &ChunkHeader, at: u32, copied_from: Option<Place>) -> u32 {
        let key = ChunkKey { log: header.log, segment: header.segment, seq: header.seq };
        let place = Place { file, position: self.position as u32 + at, length: header.length };
        self.chunks.push(Placed { key, place, copied_from });
        place.position
    }
}

impl Store {
    /// Starts the next write, opens or closes a file; says whether it did anything.
    pub(super) fn write_next(&mut self) -> bool {
        if self.flights.len() >= BATCHES_IN_FLIGHT_MAX {
            return false;
        }
        let Some(open) = &mut self.open else { return self.open_file() };
        if let Some((position, scheduled)) = open.next_scheduled() {
            self.write_scheduled(position, scheduled);
            return true;
        }
        if self.has_something() {
            return self.may_start() && self.write_data();
        }
        if self.mark_at().is_some_and(|at| at <= self.now) {
            return self.write_mark();
        }
        false
    }

    /// Whether puts may take room: the reserve is for control records and copying forward (D7).
    pub(super) fn puts_may_take_room(&self) -> bool {
        self.files.free() as u64 >= FILES_IN_RESERVE
    }

    fn head_may_be_placed(&self) -> bool {
        match self.queue.front() {
            None => false,
            Some((_, ToStore::Control(_))) => true,
            Some((_, ToStore::Chunk { .. })) => self.puts_may_take_room(),
        }
    }

    fn has_something(&self) -> bool {
        self.head_may_be_placed() || self.copying.has_copies() || self.scrub.note().is_some()
    }

    /// D1: at once when idle, otherwise when the next batch is worth it.
    fn may_start(&self) -> bool {
        !self.flights.is_busy()
            || self.queue_bytes + self.copying.copies_bytes() >= BATCH_BYTES_EAGER
            || self.queue.len() >= BATCH_ENTRIES_MAX
    }

    fn open_file(&mut self) -> bool {
        let head_is_control = matches!(self.queue.front(), Some((_, ToStore::Control(_))));
        let has_control = head_is_control || self.scrub.note().is_some();
        let entitled = self.opened.is_none() || has_control || self.copying.has_copies();
        if !entitled && self.files.free() as u64 <= FILES_IN_RESERVE {
            return false;
        }
        let Some(number) = self.files.first(FileState::Ready) else { return false };
        let now_s = self.wall_clock_s();
        self.files.open(number, self.next_incarnation, self.flights.next_number(), now_s);
        let mut open = OpenFile::new(number, self.next_incarnation, self.config.file_bytes);
        open.schedule_snapshot(&self.snapshot(), &self.files.newly_freed());
        self.opened.get_or_insert(self.flights.next_number() + open.scheduled.len() as u64 - 1);
        self.next_incarnation += 1;
        self.open = Some(open);
        true
    }

    fn close_file(&mut self) {
        let number = self.open.as_ref().expect("only an open file is closed").number;
        self.files.closes(number, self.wall_clock_s());
        let (snapshot, omits) = (self.snapshot(), self.files.newly_freed());
        let open = self.open.as_mut().expect("only an open file is closed");
        open.schedule_closing(&snapshot, &omits);
    }

    fn snapshot(&self) -> Vec<Record> {
        let records: Vec<_> = self.state.to_records().chain(self.files.to_records().map(Record::File)).collect();
        assert!(records.len() == self.snapshot_records(), "{} records, {}", records.len(), self.snapshot_records());
        records
    }

    /// How many records a snapshot has now.
    pub(super) fn snapshot_records(&self) -> usize {
        self.state.records() + self.files.listed()
    }

    fn write_scheduled(&mut self, position: u64, scheduled: Scheduled) {
        let Scheduled { kind, part, parts, records, omits } = scheduled;
        let mut batch = Batch::new(kind, position, BatchBody::of_records(&records));
        (batch.part, batch.parts, batch.omits) = (part, parts, omits);
        self.write(batch);
    }

    /// When a mark is due, if one is missing and nothing is being written: a later batch would carry it.
    pub(super) fn mark_at(&self) -> Option<Micros> {
        let missing = self.last_content > self.marked && self.flights.is_empty() && self.failed.is_none();
        let at = if self.stopping { self.quiet_since } else { self.quiet_since.plus(QUIET_US) };
        (missing && self.open.is_some()).then_some(at)
    }

    fn write_mark(&mut self) -> bool {
        let records = self.snapshot_records();
        let open = self.open.as_mut().expect("a mark goes to the open file");
        if !open.fits(BLOCK_BYTES, 0, records) {
            self.close_file();
            return true;
        }
        let batch = Batch::new(BatchKind::Data, open.at, BatchBody::new());
        open.at += u64::from(BLOCK_BYTES);
        self.write(batch);
        true
    }

    fn write_data(&mut self) -> bool {
        let open = self.open.as_ref().expect("data goes to the open file");
        let mut batch = Batch::new(BatchKind::Data, open.at, BatchBody::new());
        batch.reserve_chunks(self.queue.len().min(BATCH_ENTRIES_MAX));
        self.take_queued(&mut batch);
        if batch.body.entries > 0 || !self.head_may_be_placed() {
            self.take_note(&mut batch);
            self.take_copies(&mut batch);
        }
        if batch.body.entries == 0 {
            self.close_file();
            return true;
        }
        let open = self.open.as_mut().expect("data goes to the open file");
        open.at += u64::from(padded(batch.body.used()));
        self.write(batch);
        true
    }

    /// Whether an entry of `bytes` still goes into `batch`.
    fn has_room(&self, batch: &Batch, bytes: u32, chunks: usize, growth: usize) -> bool {
        let open = self.open.as_ref().expect("data goes to the open file");
        let small_enough = batch.body.entries == 0 || batch.body.used() + bytes <= BATCH_BYTES_SOFT_MAX;
        let few_enough = (batch.body.entries as usize) < BATCH_ENTRIES_MAX;
        small_enough && few_enough && open.fits(batch.body.padded_with(bytes), chunks, self.snapshot_records() + growth)
    }

    fn take_queued(&mut self, batch: &mut Batch) {
        while self.head_may_be_placed() {
            let Some(&(order, what)) = self.queue.front() else { return };
            let (bytes, chunks, growth) = match &what {
                ToStore::Chunk { header, .. } => (header.stored_bytes(), 1, self.state.growth_by_put(header)),
                ToStore::Control(record) => (CHUNK_HEADER_BYTES as u32, 0, self.state.growth_by_record(record)),
            };
            if !self.has_room(batch, bytes, chunks, growth) {
                return;
            }
            self.queue.pop_front();
            self.queue_bytes -= u64::from(bytes);
            batch.order_through = Some(order);
            match what {
                ToStore::Chunk { header, slot } => {
                    let at = batch.body.push_chunk(&header, slot);
                    batch.slots.push(slot);
                    self.queued_slots -= 1;
                    self.placed(batch, &header, at, None);
                }
                ToStore::Control(record) => {
                    if !(planted!(ControlSkipsTheBatch) && batch.body.entries > 0) {
                        batch.body.push_control(&record);
                    }
                    self.state.apply(&record);
                }
            }
        }
    }

    /// Scrub's word of how far it has come.
    fn take_note(&mut self, batch: &mut Batch) {
        let Some(note) = self.scrub.note() else { return };
        let record = Record::Scrub(note);
        if self.has_room(batch, CHUNK_HEADER_BYTES as u32, 0, self.state.growth_by_record(&record)) {
            batch.body.push_control(&record);
            self.state.apply(&record);
            self.files.verified(note.through, note.verified_at_s);
            self.scrub.note_placed();
        }
    }

    fn take_copies(&mut self, batch: &mut Batch) {
        let appended = batch.body.entries > 0 && self.puts_may_take_room();
        let bytes_max = if appended { batch.body.used() + COPY_BYTES_BESIDE_APPENDS } else { BATCH_BYTES_SOFT_MAX };
        let before = batch.body.entries;
        while let Some(copy) = self.copying.next_copy() {
            let (header, bytes) = (copy.header, copy.header.stored_bytes());
            let growth = self.state.growth_by_copy(header.log);
            if !self.has_room(batch, bytes, 1, growth)
                || (batch.body.entries > before && batch.body.used() + bytes > bytes_max)
            {
                return;
            }
            let copy = self.copying.take_copy();
            let at = batch.body.push_copy(&header, &copy.bytes);
            self.placed(batch, &header, at, Some(copy.from));
        }
    }

    fn placed(&mut self, batch: &mut Batch, header: &ChunkHeader, at: u32, copied_from: Option<Place>) {
        let open = self.open.as_mut().expect("chunks go to the open file");
        let position = batch.place(open.number, header, at, copied_from);
        // Counted at once, so that the room for their index is kept for the entries that follow in this batch.
        open.chunks.push(header, position);
        match copied_from {
            None => self.state.apply_put(header),
            Some(_) => self.state.apply_copy(header),
        }
    }

    fn write(&mut self, batch: Batch) {
        let open = self.open.as_mut().expect("batches go to the open file");
        let (number, confirmed) = (self.flights.next_number(), self.flights.confirmed());
        let header = BatchHeader {
            kind: batch.kind,
            disk: self.config.disk,
            file: open.number,
            incarnation: open.incarnation,
            position: batch.position,
            number,
            confirmed,
            entries: batch.body.entries,
            used: batch.body.used(),
            heads_crc: batch.body.heads_crc,
            part: batch.part,
            parts: batch.parts,
        };
        let (file, bytes) = (open.number, header.disk_bytes());
        let bare = batch.kind == BatchKind::Data && batch.body.entries == 0;
        let closes = batch.kind == BatchKind::Footer;
        self.files.placed(file, number);
        self.files.omitted(&batch.omits, number);
        if closes {
            assert!(open.closing && open.scheduled.is_empty(), "file {file} has something behind its footer");
            self.files.set_state(file, FileState::Closed);
            self.open = None;
        }
        if !bare {
            self.last_content = number;
        }
        self.statistics.batches += 1;
        self.statistics.batch_bytes += u64::from(bytes);
        let parts = batch.body.finish(&header);
        self.flights.push(Flight {
            number,
            file,
            started: self.watched,
            bytes,
            mark: confirmed,
            bare,
            closes,
            written: false,
            chunks: batch.chunks,
            slots: batch.slots,
            order_through: batch.order_through,
            omits: batch.omits,
        });
        self.outbox.push_back(StoreEffect::Write { number, file, position: header.position, parts, bytes });
    }
}
