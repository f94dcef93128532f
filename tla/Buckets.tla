------------------------------ MODULE Buckets ------------------------------
(***************************************************************************)
(* The bucket flavour (DESIGN 3.3): a bucket has no fence. Every           *)
(* (segment, seq) is a write-once slot; freezing a seq is creating a       *)
(* marker in its slot. One segment is open at a time; the segment of the   *)
(* writer of epoch e is called e, so names are never used twice.           *)
(*                                                                         *)
(* A create may land at any time after it was asked for, more than once,   *)
(* and after its writer or recovery gave up: no action consumes a request. *)
(* Whoever asked learns of it by reading the slot. Since an occupied slot  *)
(* stays as it is, "it was answered" and "it was read back" are one thing  *)
(* here, and an occupied slot is a frozen one.                             *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  Bucket,      \* the N buckets, the same for every segment
  Qa,          \* ack quorum
  Window,      \* of every segment, in chunks
  SeqMax,      \* seqs are 0 .. SeqMax - 1
  EpochMax,    \* epochs are 1 .. EpochMax; the first one is open initially
  WriterMax,   \* writers of higher epochs append nothing of their own
  FloorMax,    \* no trim goes beyond this
  WipeMax,     \* how many buckets may be replaced by empty ones
  Bug          \* the planted bug, or "none"

Qr == Cardinality(Bucket) - Qa + 1
Seqs == 0 .. SeqMax - 1
Epochs == 1 .. EpochMax
Empty == 0                  \* nothing in a slot
Marker == -1                \* a marker in a slot; a chunk is the epoch that appended it
Growing == SeqMax + 1       \* the end of the open segment

Max(a, b) == IF a > b THEN a ELSE b

VARIABLES
  reg,     \* the register record: epoch, floor, chain of [id, base, end]
  slots,   \* bucket -> segment -> seq -> content
  wiped,   \* buckets whose identity object is not the one that the record names
  op       \* epoch -> what its client knows and did

vars == <<reg, slots, wiped, op>>

Idle == [phase |-> "idle", seg |-> 0, floor |-> 0, mark |-> -1, low |-> 0, cut |-> 0, from |-> 0, next |-> 0, tail |-> 0]

Init ==
  /\ reg = [epoch |-> 1, floor |-> 0, chain |-> <<[id |-> 1, base |-> 0, end |-> Growing]>>]
  /\ slots = [b \in Bucket |-> [s \in Epochs |-> [q \in Seqs |-> Empty]]]
  /\ wiped = {}
  /\ op = [e \in Epochs |-> IF e = 1 THEN [Idle EXCEPT !.phase = "open"] ELSE Idle]

(* The content that the writer of segment s gives to seq q: its own chunk, or a copy of the segment before it. *)
RECURSIVE ContentOf(_, _)
ContentOf(s, q) == IF op[s].seg = 0 \/ q >= op[s].from THEN s ELSE ContentOf(op[s].seg, q)

IsChunk(x) == x > 0
Last(chain) == chain[Len(chain)]

\* Buckets whose answers count (P8, P14): without its identity object every answer is unknown.
Known == IF Bug = "NoIdentity" THEN Bucket ELSE Bucket \ wiped

Having(s, q) == {b \in Known : IsChunk(slots[b][s][q])}
Marked(s, q) == {b \in Known : slots[b][s][q] = Marker}

-----------------------------------------------------------------------------
(* Recovery, by the client that claims epoch e. *)

\* P7.1. A swap that compared the record as read; who loses reads again and takes the next epoch.
Claim(e) ==
  /\ e = reg.epoch + 1
  /\ reg' = [reg EXCEPT !.epoch = e]
  /\ op' = [op EXCEPT ![e] = [Idle EXCEPT !.phase = "probing", !.seg = Last(reg.chain).id, !.floor = reg.floor]]
  /\ UNCHANGED <<slots, wiped>>

BaseOf(s) == op[s].cut

(* The newest chunk that probing found, or base - 1. Probing is not atomic and holes are possible, so it may be
   any chunk there is; that decides only where the mark goes. *)
NewestFound(e) ==
  LET s == op[e].seg
      seen == {q \in Seqs : Having(s, q) # {}} \cup {BaseOf(s) - 1}
      newest == CHOOSE n \in seen : \A q \in seen : q <= n
  IN CASE Bug = "NoMark" -> {newest}                             \* as good as probing can be
       [] OTHER -> seen

\* The first probe, and again whenever the mark met a chunk.
Probe(e) ==
  /\ op[e].phase \in {"probing", "freezing"}
  /\ \E n \in NewestFound(e) :
       /\ op[e].phase = "freezing" =>
            n + Window > op[e].mark /\ op[e].mark < SeqMax /\ Having(op[e].seg, op[e].mark) # {}
       /\ op' = [op EXCEPT ![e].phase = "freezing", ![e].mark = n + Window,
                                ![e].low = Max(Max(BaseOf(op[e].seg), op[e].floor), n + 1 - Window)]
  /\ UNCHANGED <<reg, slots, wiped>>

\* Nobody ever writes at SeqMax or behind it.
MarkedBeyond(e) ==
  IF op[e].mark >= SeqMax \/ Bug \in {"NoMark", "Listing"} THEN TRUE
  ELSE Cardinality(Marked(op[e].seg, op[e].mark)) >= IF Bug = "WaitsForAll" THEN Cardinality(Bucket) ELSE Qr

(* A marker is created: the one beyond what the writer may reach first, then those of the walk. A create that was asked for
   lands whenever it likes, also when the recovery is over. *)
Mark(e, b, q) ==
  /\ op[e].mark >= 0 /\ b \in Known
  /\ \/ q = op[e].mark /\ Bug # "NoMark"
     \/ q >= op[e].low /\ q < op[e].mark /\ (op[e].phase # "freezing" \/ MarkedBeyond(e))
  /\ Bug = "NoMark" => q <= op[e].mark - Window
  /\ Bug # "Listing"
  /\ slots[b][op[e].seg][q] = Empty
  /\ slots' = [slots EXCEPT ![b][op[e].seg][q] = Marker]
  /\ UNCHANGED <<reg, wiped, op>>

\* The walk's end may be any seq that Qr buckets answer "never" for, if no answer that was heard says "have".
IsEnd(e, q) ==
  CASE q >= SeqMax -> TRUE
    [] q < SeqMax /\ Bug = "NoMark" /\ q > op[e].mark - Window -> TRUE      \* nothing newer was found
    \* A listing is believed: what it does not show is not there.
    [] q < SeqMax /\ Bug = "Listing" -> Cardinality({b \in Known : ~IsChunk(slots[b][op[e].seg][q])}) >= Qr
    [] OTHER -> Cardinality(Marked(op[e].seg, q)) >= Qr

(* P7.3, P7.4. Everything heard is frozen, so the walk is judged at once. What was not heard is covered by the choices: a
   lower start (a watermark not heard), a lower cut (copies not proven). A watermark is never above the writer's tail. *)
Settle(e) ==
  LET s == op[e].seg
  IN
  /\ op[e].phase = "freezing"
  /\ MarkedBeyond(e)
  /\ \E start \in op[e].low .. Max(op[e].low, op[s].tail), end \in op[e].low .. SeqMax :
       /\ start <= end /\ IsEnd(e, end)
       /\ \A q \in start .. end - 1 : Having(s, q) # {}
       /\ \E cut \in start .. end :
            /\ \A q \in start .. cut - 1 : Cardinality(Having(s, q)) >= Qa
            /\ op' = [op EXCEPT ![e].phase = "copying", ![e].from = end, ![e].next = end, ![e].tail = end,
                                ![e].cut = IF Bug \in {"NoCopyForward", "CopyInPlace"} THEN end ELSE cut]
  /\ UNCHANGED <<reg, slots, wiped>>

\* With the bug: the kept chunks are put back into the old segment, over its markers.
Copy(e, b, q) ==
  /\ Bug = "CopyInPlace"
  /\ op[e].phase = "copying" /\ q \in op[e].low .. op[e].from - 1
  /\ slots' = [slots EXCEPT ![b][op[e].seg][q] = ContentOf(op[e].seg, q)]
  /\ UNCHANGED <<reg, wiped, op>>

EndOf(s) ==
  LET known == {i \in DOMAIN reg.chain : reg.chain[i].id = s}
  IN IF known = {} THEN 0 ELSE reg.chain[CHOOSE i \in known : TRUE].end

\* P4: a put below the floor counts as stored, whatever its slot holds, if the record that says so names the writer's segment and
\* the seq lies below its end. The floor of a record that was read may lie far beyond: what is trimmed there is another's.
Dropped(e, q) == q < reg.floor /\ (Bug = "FloorIsEnough" \/ q < EndOf(e))

StoredOn(e, q) ==
  {b \in Bucket : \/ IF Bug = "NoCompare" THEN slots[b][e][q] # Empty ELSE slots[b][e][q] = ContentOf(e, q)
                  \/ Dropped(e, q)}

\* The whole record: while the epoch is e nobody but e changes the chain, so only the floor can have moved.
SameRecord(e) == reg.epoch = e /\ (Bug = "FloorNotCompared" \/ reg.floor = op[e].floor)

\* P7.5: the copies are on Qa buckets; one swap seals the old segment at the cut and registers the new one from there.
Open(e) ==
  /\ op[e].phase = "copying"
  /\ \A q \in op[e].cut .. op[e].from - 1 : Cardinality(StoredOn(e, q)) >= Qa
  /\ Bug = "CopyInPlace" => \A q \in op[e].low .. op[e].from - 1 : Cardinality(Having(op[e].seg, q)) >= Qa
  /\ SameRecord(e)
  /\ LET old == Last(reg.chain)
         sealed == IF old.base < op[e].cut /\ op[e].cut > reg.floor THEN <<[old EXCEPT !.end = op[e].cut]>> ELSE <<>>
         kept == SelectSeq(SubSeq(reg.chain, 1, Len(reg.chain) - 1), LAMBDA s : s.end > reg.floor)
     IN reg' = [reg EXCEPT !.chain = kept \o sealed \o <<[id |-> e, base |-> op[e].cut, end |-> Growing]>>]
  /\ op' = [op EXCEPT ![e].phase = "open"]
  /\ UNCHANGED <<slots, wiped>>

\* The floor moved: the record is read again and the walk taken again (P7.5). Once copies were made this recovery gives up
\* instead, since another plan needs another segment; so does one whose epoch is gone. It then takes no more steps, except
\* that what it asked for may still land.
Reread(e) ==
  /\ op[e].phase \in {"probing", "freezing"}
  /\ reg.epoch = e /\ reg.floor # op[e].floor
  /\ op' = [op EXCEPT ![e].phase = "probing", ![e].floor = reg.floor]
  /\ UNCHANGED <<reg, slots, wiped>>

-----------------------------------------------------------------------------
(* The writer of epoch e. *)

\* A chunk is handed to every bucket; from now on its creates may land (Slot).
Put(e) ==
  /\ e <= WriterMax /\ op[e].phase = "open"
  /\ op[e].next < SeqMax /\ op[e].next < op[e].tail + Window
  /\ op' = [op EXCEPT ![e].next = @ + 1]
  /\ UNCHANGED <<reg, slots, wiped>>

\* A conditional create of a chunk lands: the first time, again, late, below the floor.
Slot(e, b, q) ==
  /\ q >= op[e].cut /\ q < op[e].next
  /\ slots[b][e][q] \in (IF Bug = "Overwrite" THEN {Empty, Marker} ELSE {Empty})
  /\ slots' = [slots EXCEPT ![b][e][q] = ContentOf(e, q)]
  /\ UNCHANGED <<reg, wiped, op>>

\* P2: Qa buckets hold this very chunk, in order. A writer that finds a marker stops for good; that it may also go on here
\* only adds behaviour.
Commit(e) ==
  /\ op[e].phase = "open" /\ op[e].tail < op[e].next
  /\ Cardinality(StoredOn(e, op[e].tail)) >= Qa
  /\ op' = [op EXCEPT ![e].tail = @ + 1]
  /\ UNCHANGED <<reg, slots, wiped>>

-----------------------------------------------------------------------------
(* Trim, and what may happen to a bucket. *)

\* P12: into the record first, never above what is committed.
RaiseFloor(f) ==
  /\ f > reg.floor /\ f <= FloorMax
  /\ f <= op[Last(reg.chain).id].tail
  /\ reg' = [reg EXCEPT !.floor = f]
  /\ UNCHANGED <<slots, wiped, op>>

(* A slot is deleted. A marker stays (pitfall 17) at and behind a sealed end, and in every segment that the record does not
   name: the walk ended behind the seq at which the segment was sealed if chunks were copied forward. *)
Trim(b, s, q) ==
  /\ q < reg.floor
  /\ \/ IsChunk(slots[b][s][q])
     \/ slots[b][s][q] = Marker /\ CASE Bug = "MarkersDropped" -> TRUE
                                      [] Bug = "KeptAtTheCutOnly" -> q # EndOf(s)
                                      [] OTHER -> q < EndOf(s)
  /\ slots' = [slots EXCEPT ![b][s][q] = Empty]
  /\ UNCHANGED <<reg, wiped, op>>

(* An orphan is freed (P13): a chunk of a segment that the record does not name, of an epoch below the record's. Its writer's
   swap compared a record that is gone, so nobody will ever read it, and what an older record said of it is still true. Of
   the very epoch, a segment may be that of a recovery that has copied and not yet swapped: with the bug, an older record
   is believed of it. Markers stay. *)
Free(b, s, q) ==
  /\ \/ s < reg.epoch /\ \A i \in DOMAIN reg.chain : reg.chain[i].id # s
     \/ Bug = "OwnSegmentFreed" /\ s = reg.epoch /\ op[s].seg # 0
  /\ IsChunk(slots[b][s][q])
  /\ slots' = [slots EXCEPT ![b][s][q] = Empty]
  /\ UNCHANGED <<reg, wiped, op>>

(* Another bucket stands under the name. What was there is kept as what the writer may have heard of; nobody reads it. *)
Wipe(b) ==
  /\ Cardinality(wiped) < WipeMax /\ b \notin wiped
  /\ wiped' = wiped \cup {b}
  /\ slots' = IF Bug = "NoIdentity" THEN [slots EXCEPT ![b] = [s \in Epochs |-> [q \in Seqs |-> Empty]]] ELSE slots
  /\ UNCHANGED <<reg, op>>

Next ==
  \/ \E e \in Epochs : Claim(e) \/ Probe(e) \/ Settle(e) \/ Open(e) \/ Reread(e) \/ Put(e) \/ Commit(e)
  \/ \E e \in Epochs, b \in Bucket, q \in Seqs : Mark(e, b, q) \/ Copy(e, b, q) \/ Slot(e, b, q)
  \/ \E f \in Seqs \cup {SeqMax} : RaiseFloor(f)
  \/ \E b \in Bucket, s \in Epochs, q \in Seqs : Trim(b, s, q) \/ Free(b, s, q)
  \/ \E b \in Bucket : Wipe(b)

Actions == {"Claim", "Probe", "Mark", "Settle", "Copy", "Open", "Reread", "Put", "Slot", "Commit", "RaiseFloor",
            "Trim", "Free", "Wipe"}

Spec == Init /\ [][Next]_vars

Up == CHOOSE up \in SUBSET Bucket : Cardinality(up) = Max(Qa, Qr)

(* A single contender, with a quorum of the buckets there: the mark first, then
   the walk, then the copies; the old writer may go on. *)
FairSpec ==
  /\ Spec
  /\ \A e \in Epochs :
       /\ WF_vars(Claim(e)) /\ WF_vars(Probe(e)) /\ WF_vars(Settle(e)) /\ WF_vars(Open(e)) /\ WF_vars(Reread(e))
       /\ \A b \in Up : WF_vars(\E q \in Seqs : Mark(e, b, q)) /\ WF_vars(\E q \in Seqs : Slot(e, b, q))
RecoveryEnds == <>(op[EpochMax].phase = "open")

-----------------------------------------------------------------------------
Symmetric == Permutations(Bucket)

Opened(e) == op[e].phase = "open"
Acked(e) == IF Opened(e) THEN op[e].from .. op[e].tail - 1 ELSE {}
OwnersOf(q) == {i \in DOMAIN reg.chain : reg.chain[i].base <= q /\ q < reg.chain[i].end}
CopiesOf(s, q, c) == {b \in Bucket : slots[b][s][q] = c}

\* Whatever was acknowledged and not trimmed is on an ack quorum of the segment that readers look into, losses apart.
NothingAcknowledgedIsLost ==
  \A e \in Epochs : \A q \in Acked(e) : q >= reg.floor =>
    \E i \in OwnersOf(q) : Cardinality(CopiesOf(reg.chain[i].id, q, e)) >= Qa

AcknowledgedOnce == \A e, f \in Epochs : e # f => Acked(e) \cap Acked(f) = {}

\* Every seq belongs to at most one segment; the chain has no gap above the floor.
OneHistory ==
  /\ \A q \in Seqs : Cardinality(OwnersOf(q)) <= 1
  /\ \A q \in Seqs : q >= reg.floor => OwnersOf(q) # {}

OneContent ==
  \A b \in Bucket, s \in Epochs, q \in Seqs : slots[b][s][q] \in {Empty, Marker, ContentOf(s, q)}

SealedOnAckQuorum ==
  \A i \in DOMAIN reg.chain : reg.chain[i].end # Growing =>
    \A q \in reg.chain[i].base .. reg.chain[i].end - 1 : q >= reg.floor =>
      Cardinality(CopiesOf(reg.chain[i].id, q, ContentOf(reg.chain[i].id, q))) >= Qa

\* Pitfall 17: what stops the writer that was taken over stays for the life of the log.
MarkersAtTheEndStay ==
  \A e \in Epochs : op[e].seg # 0 /\ Opened(e) /\ op[e].from < SeqMax =>
    Cardinality({b \in Bucket : slots[b][op[e].seg][op[e].from] = Marker}) >= Qr

FloorBelowTail == reg.floor <= op[Last(reg.chain).id].tail

TypeOK ==
  /\ reg.epoch \in Epochs /\ reg.floor \in 0 .. SeqMax
  /\ wiped \subseteq Bucket
=============================================================================
