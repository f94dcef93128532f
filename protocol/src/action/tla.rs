//! An action as a TLA+ record, one line of a trace: `[a |-> "Commit", log |-> "...", segment |-> <<3, 0>>, seq |-> 7]`.

use super::{Action, HeldRun, Step};
use crate::digest::Digest;
use crate::ids::{ChunkSeq, DiskId, Epoch, SegmentId};
use crate::message::Answer;
use alloc::string::String;
use core::fmt::{self, Display, Formatter, Write};

/// What an absent seq is written as.
const NO_SEQ: i64 = -1;

struct Line(String);

impl Line {
    fn field(&mut self, name: &str, value: impl Display) -> &mut Self {
        write!(self.0, ", {name} |-> {value}").expect("a string takes everything");
        self
    }

    fn text(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.field(name, format_args!("\"{value}\""))
    }

    fn segment(&mut self, segment: SegmentId) -> &mut Self {
        self.field("segment", Tuple(segment))
    }

    fn seqs(&mut self, from: ChunkSeq, to: ChunkSeq) -> &mut Self {
        self.field("from", from.0).field("to", to.0)
    }

    fn newest(&mut self, newest: Option<ChunkSeq>) -> &mut Self {
        self.field("newest", newest.map_or(NO_SEQ, |seq| seq.0 as i64))
    }

    fn answer(&mut self, answer: Answer) -> &mut Self {
        let answer = match answer {
            Answer::Have => "have",
            Answer::Never => "never",
            Answer::Trimmed => "trimmed",
            Answer::Unknown => "unknown",
        };
        self.text("answer", answer)
    }

    fn content(&mut self, content: Digest) -> &mut Self {
        self.text("content", content)
    }

    fn disk(&mut self, name: &str, disk: DiskId) -> &mut Self {
        self.text(name, disk)
    }

    fn epoch(&mut self, epoch: Epoch) -> &mut Self {
        self.field("epoch", epoch.0)
    }
}

/// A segment's name as a pair.
struct Tuple(SegmentId);

impl Display for Tuple {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "<<{}, {}>>", self.0.epoch.0, self.0.index)
    }
}

/// A sequence.
struct Listed<'a, T>(&'a [T], fn(&T, &mut Formatter<'_>) -> fmt::Result);

impl<T> Display for Listed<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("<<")?;
        for (i, item) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            (self.1)(item, f)?;
        }
        f.write_str(">>")
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut line = Line(String::new());
        line.text("log", self.log);
        fields(&self.step, &mut line);
        write!(f, "[a |-> \"{}\"{}]", self.step.name(), line.0)
    }
}

fn fields(step: &Step, line: &mut Line) {
    match step {
        Step::Claim { client, epoch } | Step::Bury { client, epoch } => line.text("client", client).epoch(*epoch),
        Step::HearFence { epoch, replica, segment, watermark, newest }
        | Step::AnswerFence { epoch, replica, segment, watermark, newest } => line
            .epoch(*epoch)
            .disk("replica", *replica)
            .segment(*segment)
            .field("watermark", watermark.0)
            .newest(*newest),
        Step::HearFreeze { epoch, replica, segment, from, to, answer }
        | Step::AnswerFreeze { epoch, replica, segment, from, to, answer } => {
            line.epoch(*epoch).disk("replica", *replica).segment(*segment).seqs(*from, *to).answer(*answer)
        }
        Step::Settle { epoch, copy_from, end, floor } => {
            line.epoch(*epoch).field("copy_from", copy_from.0).field("end", end.0).field("floor", floor.0)
        }
        Step::Copy { epoch, replica, segment, seq, content, payload } => line
            .epoch(*epoch)
            .disk("replica", *replica)
            .segment(*segment)
            .field("seq", seq.0)
            .content(*content)
            .text("payload", payload),
        Step::Open { client, epoch, segment, base, end, floor, ack_quorum, replicas } => line
            .text("client", client)
            .epoch(*epoch)
            .segment(*segment)
            .field("base", base.0)
            .field("end", end.0)
            .field("floor", floor.0)
            .field("ack_quorum", ack_quorum)
            .field("replicas", Listed(replicas, |disk, f| write!(f, "\"{disk}\""))),
        Step::Abandon { client } => line.text("client", client),
        Step::Put { epoch, replica, segment, seq, watermark, content, payload } => {
            line.epoch(*epoch).disk("replica", *replica);
            chunk(line, *segment, *seq, *watermark, *content).text("payload", payload)
        }
        Step::Accept { replica, segment, seq, watermark, content } => {
            chunk(line.disk("replica", *replica), *segment, *seq, *watermark, *content)
        }
        Step::Commit { segment, seq } => line.segment(*segment).field("seq", seq.0),
        Step::Stop { segment } => line.segment(*segment),
        Step::Store { replica, segment, seq } => line.disk("replica", *replica).segment(*segment).field("seq", seq.0),
        Step::RaiseFence { replica, epoch } | Step::Forget { replica, epoch } => {
            line.disk("replica", *replica).epoch(*epoch)
        }
        Step::Trim { replica, floor } => line.disk("replica", *replica).field("floor", floor.0),
        Step::Lose { replica, segment, from, to } => line.disk("replica", *replica).segment(*segment).seqs(*from, *to),
        Step::RaiseFloor { floor } => line.field("floor", floor.0),
        Step::Read { segment, seq, content, payload } => {
            line.segment(*segment).field("seq", seq.0).content(*content).text("payload", payload)
        }
        Step::Crash { replica } => line.disk("replica", *replica),
        Step::Restart { replica, fence, floor, held, lost } => line
            .disk("replica", *replica)
            .field("fence", fence.0)
            .field("floor", floor.0)
            .field("held", Listed(held, held_run))
            .field("lost", Listed(lost, held_run)),
        Step::Retire { replica, new } | Step::Wipe { replica, new } => line.disk("replica", *replica).disk("new", *new),
    };
}

fn chunk(line: &mut Line, segment: SegmentId, seq: ChunkSeq, watermark: ChunkSeq, content: Digest) -> &mut Line {
    line.segment(segment).field("seq", seq.0).field("watermark", watermark.0).content(content)
}

fn held_run(run: &HeldRun, f: &mut Formatter<'_>) -> fmt::Result {
    write!(f, "[segment |-> {}, from |-> {}, to |-> {}]", Tuple(run.segment), run.from.0, run.to.0)
}
