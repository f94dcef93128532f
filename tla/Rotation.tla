------------------------------ MODULE Rotation ------------------------------
(***************************************************************************)
(* Rotation (P11), replacement (P10), moves to another tier and back, and  *)
(* that new chunks only go into registered segments (P5). A replica is its fence and what it  *)
(* holds; neither is lost here. A put may arrive at any time after it was  *)
(* handed over, also more than once, or never: no action consumes one.     *)
(* The same holds for a change asked of the register: it takes place (or   *)
(* never does) whenever the version that it compared is still there.       *)
(*                                                                         *)
(* A writer gives a seq one content, so a content is the epoch that        *)
(* appended it. Segments are named <<epoch, index>>.                       *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  Replica,     \* all there are, spares included
  FirstSet,    \* the replicas of the first segment
  Qa,          \* its ack quorum
  OtherSet,    \* the other tier's replicas; none: no moves
  OtherQa,     \* the ack quorum of a segment there
  Window,      \* of every segment, in chunks
  SeqMax,      \* seqs are 0 .. SeqMax - 1
  EpochMax,    \* the first epoch is open initially
  WriterMax,   \* writers of higher epochs append nothing and plan nothing
  IndexMax,    \* an epoch's segments are 0 .. IndexMax
  FloorMax,
  Bug

Tiers == {[set |-> FirstSet, qa |-> Qa]} \cup (IF OtherSet = {} THEN {} ELSE {[set |-> OtherSet, qa |-> OtherQa]})
Qr == Cardinality(FirstSet) - Qa + 1
Seqs == 0 .. SeqMax - 1
Epochs == 1 .. EpochMax
Max(a, b) == IF a > b THEN a ELSE b
Min(a, b) == IF a < b THEN a ELSE b

VARIABLES
  reg,     \* the record: version, epoch, floor, chain of [id, base, end, at, set, qa]; end is open, boundary or sealed
  fence,   \* replica -> the highest epoch it was told
  held,    \* replica -> <<segment, seq>> that it stored
  op,      \* epoch -> what its client knows: as recovery, then as writer
  ask      \* epoch -> the change to the record that it asked for and whose outcome it does not know; `done`: it took place

vars == <<reg, fence, held, op, ask>>

NoAsk == [kind |-> "none"]
Idle == [phase |-> "idle", prev |-> 0, cut |-> 0, from |-> 0, next |-> 0, tail |-> 0, segs |-> <<>>]
\* With its own replicas and its own quorums: the tier's.
Segment(id, base, tier) ==
  [id |-> id, base |-> base, end |-> "open", at |-> SeqMax + 1, set |-> tier.set, qa |-> tier.qa]
QrOf(segment) == Cardinality(segment.set) - segment.qa + 1
TierOf(segment) == [set |-> segment.set, qa |-> segment.qa]
Last(chain) == chain[Len(chain)]

Init ==
  /\ reg = [version |-> 1, epoch |-> 1, floor |-> 0, chain |-> <<Segment(<<1, 0>>, 0, [set |-> FirstSet, qa |-> Qa])>>]
  /\ fence = [r \in Replica |-> 1]
  /\ held = [r \in Replica |-> {}]
  /\ op = [e \in Epochs |-> IF e = 1 THEN [Idle EXCEPT !.phase = "open", !.segs = reg.chain] ELSE Idle]
  /\ ask = [e \in Epochs |-> NoAsk]

RECURSIVE ContentOf(_, _)
ContentOf(e, q) == IF op[e].prev = 0 \/ q >= op[e].from THEN e ELSE ContentOf(op[e].prev, q)

\* Which of an epoch's segments a seq goes to, as far as its client knows.
IndexOf(e, q) == CHOOSE i \in DOMAIN op[e].segs :
  /\ op[e].segs[i].base <= q
  /\ \A j \in DOMAIN op[e].segs : j > i => op[e].segs[j].base > q
HomeOf(e, q) == op[e].segs[IndexOf(e, q)]

Holding(set, id, q) == {r \in set : <<id, q>> \in held[r]}

-----------------------------------------------------------------------------
(* The writer of epoch e. *)

Planned(e) == ask[e].kind = "plan"
\* Until it knows that its boundary is on record, nothing goes to L or beyond it (P11).
Limit(e) == IF Planned(e) /\ Bug # "PutBeyondPlan" THEN ask[e].at ELSE SeqMax

Put(e) ==
  /\ e <= WriterMax /\ op[e].phase = "open"
  /\ op[e].next < Min(Limit(e), op[e].tail + Window)
  /\ op' = [op EXCEPT ![e].next = @ + 1,
                      ![e].segs = IF Planned(e) /\ op[e].next = ask[e].at THEN Append(@, Last(ask[e].chain)) ELSE @]
  /\ UNCHANGED <<reg, fence, held, ask>>

\* A put arrives: of a new chunk, or of a copy that recovery makes. The fence comes first (P3).
Accept(e, r, q) ==
  /\ op[e].phase \in {"copying", "open"}
  /\ q >= op[e].cut /\ q < op[e].next
  /\ fence[r] <= e
  /\ r \in HomeOf(e, q).set
  /\ <<HomeOf(e, q).id, q>> \notin held[r]
  /\ held' = [held EXCEPT ![r] = @ \cup {<<HomeOf(e, q).id, q>>}]
  /\ UNCHANGED <<reg, fence, op, ask>>

\* The bug is to go by the quorum of the tier that the writer began on.
OnAckQuorum(e, q) ==
  Cardinality(Holding(HomeOf(e, q).set, HomeOf(e, q).id, q)) >= IF Bug = "AckQuorumStays" THEN Qa ELSE HomeOf(e, q).qa

\* P2: in the log's order, also across the seam.
Commit(e) ==
  /\ op[e].phase = "open" /\ op[e].tail < op[e].next
  /\ \/ OnAckQuorum(e, op[e].tail)
     \/ Bug = "CommitPerSegment" /\ \E q \in op[e].tail + 1 .. op[e].next - 1 :
          HomeOf(e, q).base = q /\ OnAckQuorum(e, q)
  /\ op' = [op EXCEPT ![e].tail = IF OnAckQuorum(e, @) THEN @ + 1
                                  ELSE 1 + CHOOSE q \in @ + 1 .. op[e].next - 1 : HomeOf(e, q).base = q]
  /\ UNCHANGED <<reg, fence, held, ask>>

Boundaries == {i \in DOMAIN reg.chain : reg.chain[i].end = "boundary"}

\* Asks for a boundary at L, and a next segment on `tier`, all in one change that compares the record as read.
AskBoundary(e, at, tier) ==
  /\ e <= WriterMax /\ op[e].phase = "open" /\ ask[e] = NoAsk
  /\ reg.epoch = e
  /\ Boundaries = {} \/ Bug = "TwoBoundaries"
  /\ Len(op[e].segs) <= IndexMax
  /\ at >= op[e].next /\ at < SeqMax /\ at > Last(reg.chain).base
  /\ LET n == Len(reg.chain)
         chain == [reg.chain EXCEPT ![n].end = "boundary", ![n].at = at]
     IN ask' = [ask EXCEPT ![e] = [kind |-> "plan", version |-> reg.version, done |-> FALSE, at |-> at,
                                   chain |-> Append(chain, Segment(<<e, Len(op[e].segs)>>, at, tier))]]
  /\ UNCHANGED <<reg, fence, held, op>>

Plan(e, at) == AskBoundary(e, at, TierOf(Last(reg.chain)))

\* The next segment lies on the other tier, with its quorums: there, or back. One rotation like any other.
Move(e, at, tier) == tier.set # Last(reg.chain).set /\ AskBoundary(e, at, tier)

\* P10: the next segment has a spare in the place of a replica that failed. A spare is in no zone that is used already.
Replace(e, at, failed, spare) ==
  /\ failed \in Last(reg.chain).set
  /\ spare \notin Last(reg.chain).set \/ Bug = "ReplacedTwice"
  /\ OtherSet # {} => spare \notin FirstSet \cup OtherSet     \* the replicas of a segment are of one kind
  /\ AskBoundary(e, at, [set |-> (Last(reg.chain).set \ {failed}) \cup {spare}, qa |-> Last(reg.chain).qa])

\* With the bug: the set of the open segment itself is changed.
ChangeSet(e, failed, spare) ==
  /\ Bug = "SetChanged"
  /\ e <= WriterMax /\ op[e].phase = "open" /\ reg.epoch = e
  /\ failed \in Last(reg.chain).set /\ spare \notin Last(reg.chain).set
  /\ LET set == (Last(reg.chain).set \ {failed}) \cup {spare}
     IN /\ reg' = [reg EXCEPT !.version = @ + 1, !.chain[Len(reg.chain)].set = set]
        /\ op' = [op EXCEPT ![e].segs[Len(op[e].segs)].set = set]
  /\ UNCHANGED <<fence, held, ask>>

\* The register makes a change that was asked for, perhaps long ago; nobody need hear of it.
Apply(e) ==
  /\ ask[e].kind # "none" /\ ask[e].version = reg.version
  /\ reg' = [reg EXCEPT !.version = @ + 1, !.chain = ask[e].chain]
  /\ ask' = [ask EXCEPT ![e].done = TRUE]
  /\ UNCHANGED <<fence, held, op>>

\* The writer learns, from the answer or by reading, that its boundary is on record: by the next segment's own name.
Cross(e) ==
  /\ op[e].phase = "open" /\ Planned(e)
  /\ IF Bug = "BelievedByOwner" THEN reg.epoch = e ELSE ask[e].done
  /\ ask' = [ask EXCEPT ![e] = NoAsk]
  /\ op' = [op EXCEPT ![e].segs = IF Last(@) = Last(ask[e].chain) THEN @ ELSE Append(@, Last(ask[e].chain))]
  /\ UNCHANGED <<reg, fence, held>>

\* Everything below the boundary is committed: the seal is asked for.
SealBehind(e) ==
  /\ op[e].phase = "open" /\ ask[e] = NoAsk /\ reg.epoch = e /\ Bug # "NeverSealed"
  /\ \E i \in Boundaries :
       /\ reg.chain[i].at <= op[e].tail
       /\ ask' = [ask EXCEPT ![e] = [kind |-> "seal", version |-> reg.version, done |-> FALSE, at |-> reg.chain[i].at,
                                     chain |-> [reg.chain EXCEPT ![i].end = "sealed"]]]
  /\ UNCHANGED <<reg, fence, held, op>>

(* Its change did not take place and never will: the version that it compared is gone, and the record shows another
   content. It may be asked for anew. A seal that is there is recognised in the same way. *)
Redo(e) ==
  /\ ask[e].kind # "none"
  /\ \/ reg.version # ask[e].version /\ (Planned(e) => ~ask[e].done)
     \/ Bug = "PlanForgotten"          \* "no answer came, so it did not happen"
  /\ ask' = [ask EXCEPT ![e] = NoAsk]
  /\ UNCHANGED <<reg, fence, held, op>>

-----------------------------------------------------------------------------
(* Recovery, by the client that claims epoch e. *)

Claim(e) ==
  /\ e = reg.epoch + 1 /\ e \in Epochs
  /\ reg' = [reg EXCEPT !.version = @ + 1, !.epoch = e]
  /\ op' = [op EXCEPT ![e].phase = "settling", ![e].prev = Last(reg.chain).id[1]]
  /\ UNCHANGED <<fence, held, ask>>

RaiseFence(e, r) ==
  /\ op[e].phase # "idle" /\ fence[r] < e
  /\ fence' = [fence EXCEPT ![r] = e]
  /\ UNCHANGED <<reg, held, op, ask>>

\* The segments that recovery fences and walks: all that are not sealed.
Walked ==
  LET n == Len(reg.chain)
      unsealed == {i \in 1 .. n : reg.chain[i].end # "sealed"}
  IN CASE Bug = "NewestOnly" -> {n}
       [] Bug = "TwoBoundaries" -> {i \in unsealed : i >= n - 1}      \* "one, or two around a boundary"
       [] OTHER -> unsealed

Fenced(e, set) == {r \in set : fence[r] >= e}

\* The owner of a seq among the segments of the record.
OwnersOf(q) == {i \in DOMAIN reg.chain : reg.chain[i].base <= q /\ q < reg.chain[i].at}
OwnerOf(q) == reg.chain[CHOOSE i \in OwnersOf(q) : TRUE]

Having(e, q) == Holding(Fenced(e, OwnerOf(q).set), OwnerOf(q).id, q)
Never(e, q) == Fenced(e, OwnerOf(q).set) \ Having(e, q)

\* What a recovery that nobody will ever read had copied to an ack quorum, as its last copies told the replicas.
CopiedBy(e, f) ==
  {q + 1 : q \in {q \in op[f].cut .. op[f].from - 1 :
     /\ \A p \in op[f].cut .. q : OnAckQuorum(f, p)
     /\ \E r \in Replica : fence[r] >= e /\ \E later \in q + 1 .. op[f].from - 1 : <<HomeOf(f, q).id, later>> \in held[r]}}

(* Up to which seq a watermark heard for this segment may reach: never above its writer's tail. The bug is to keep one per
   log: copies in an unregistered segment raise it, too. *)
WatermarkMax(e, i) ==
  LET heard == {op[reg.chain[i].id[1]].tail}
      mixed == UNION {CopiedBy(e, f) : f \in {f \in Epochs : op[f].phase = "copying"}}
      all == IF Bug = "WatermarkPerLog" THEN heard \cup mixed ELSE heard
  IN CHOOSE w \in all : \A v \in all : v <= w

\* Each walked segment is walked from its own start; anything from base and floor up to what a watermark may say.
Starts(e) ==
  LET lowest(i) == Max(reg.chain[i].base, reg.floor)
      highest(i) == Min(Max(lowest(i), WatermarkMax(e, i)), reg.chain[i].at)
  IN {f \in [Walked -> 0 .. SeqMax + 1] : \A i \in Walked : f[i] >= lowest(i) /\ f[i] <= Max(lowest(i), highest(i))}

\* Of each walked segment its own. The bug is to go by that of the open segment.
ReadQuorum(i) == QrOf(IF Bug = "OneReadQuorum" THEN Last(reg.chain) ELSE reg.chain[i])
OwnerIndex(q) == CHOOSE i \in OwnersOf(q) : TRUE

(* P7.2, P7.3. What a fenced replica said stays so, hence the walk is judged at once; answers that were not heard are
   covered by the choices. A walk that ends before a boundary ends the log. *)
Settle(e) ==
  /\ op[e].phase = "settling" /\ reg.epoch = e
  /\ \A i \in Walked :
       Cardinality(Fenced(e, reg.chain[i].set)) >= IF Bug = "WaitsForAll" THEN Cardinality(FirstSet) ELSE ReadQuorum(i)
  /\ \E starts \in Starts(e), end \in 0 .. SeqMax :
       LET first == CHOOSE i \in Walked : \A j \in Walked : i <= j
           walkedSeqs == {q \in Seqs : q < end /\ \E i \in Walked : i \in OwnersOf(q) /\ q >= starts[i]}
       IN
       /\ end >= starts[first]
       /\ \A q \in walkedSeqs : Having(e, q) # {}
       \* The walk of the segment in which it ends began no later, and the ones behind it were not looked at.
       /\ \A i \in Walked : end >= reg.chain[i].base => end >= starts[i]
       /\ end < SeqMax => Cardinality(Never(e, end)) >= IF Bug = "EndOnOneAnswer" THEN 1 ELSE ReadQuorum(OwnerIndex(end))
       \* The new segment lies on the tier of the opener's own store.
       /\ \E cut \in starts[first] .. end, tier \in {TierOf(Last(reg.chain))} \cup (IF OtherSet = {} THEN {} ELSE Tiers) :
            /\ \A q \in walkedSeqs : q < cut => Cardinality(Having(e, q)) >= OwnerOf(q).qa
            /\ op' = [op EXCEPT ![e].phase = "copying", ![e].cut = cut, ![e].from = end, ![e].next = end,
                                ![e].tail = end, ![e].segs = <<Segment(<<e, 0>>, cut, tier)>>]
  /\ UNCHANGED <<reg, fence, held, ask>>

\* P7.5.
Open(e) ==
  /\ op[e].phase = "copying" /\ reg.epoch = e
  /\ \A q \in op[e].cut .. op[e].from - 1 : OnAckQuorum(e, q)
  /\ LET cut == op[e].cut
         seal(s) == IF s.end = "sealed" THEN s ELSE [s EXCEPT !.end = "sealed", !.at = Max(s.base, Min(cut, s.at))]
         sealed == [i \in DOMAIN reg.chain |-> seal(reg.chain[i])]
         kept == SelectSeq(sealed, LAMBDA s : s.base < s.at /\ s.at > reg.floor)
     IN reg' = [reg EXCEPT !.version = @ + 1, !.chain = kept \o op[e].segs]
  /\ op' = [op EXCEPT ![e].phase = "open"]
  /\ UNCHANGED <<fence, held, ask>>

\* Trim, here for the sake of the conflicts that it causes; a recovery whose floor moved settles again before it copies.
RaiseFloor(f) ==
  /\ f > reg.floor /\ f <= FloorMax
  /\ \E e \in Epochs : op[e].phase = "open" /\ Last(reg.chain).id[1] = e /\ f <= op[e].tail
  /\ \A e \in Epochs : reg.epoch = e => op[e].phase # "copying"
  /\ reg' = [reg EXCEPT !.version = @ + 1, !.floor = f]
  /\ UNCHANGED <<fence, held, op, ask>>

Next ==
  \/ \E e \in Epochs : Put(e) \/ Commit(e) \/ Apply(e) \/ Cross(e) \/ SealBehind(e) \/ Redo(e)
                       \/ Claim(e) \/ Settle(e) \/ Open(e)
  \/ \E e \in Epochs, r \in Replica : RaiseFence(e, r) \/ (\E q \in Seqs : Accept(e, r, q))
  \/ \E e \in Epochs, at \in Seqs : Plan(e, at) \/ \E failed, spare \in Replica : Replace(e, at, failed, spare)
  \/ \E e \in Epochs, at \in Seqs, tier \in Tiers : OtherSet # {} /\ Move(e, at, tier)
  \/ \E e \in Epochs, failed, spare \in Replica : ChangeSet(e, failed, spare)
  \/ \E f \in 1 .. FloorMax : RaiseFloor(f)

Actions == {"Put", "Accept", "Commit", "Plan", "Replace", "Move", "ChangeSet", "Apply", "Cross", "SealBehind", "Redo", "Claim",
            "RaiseFence", "Settle", "Open", "RaiseFloor"}

Spec == Init /\ [][Next]_vars

\* A quorum is up: enough of the first replicas to open and to commit, and the spares.
Up == (CHOOSE up \in SUBSET FirstSet : Cardinality(up) = Max(Qa, Qr)) \cup (Replica \ FirstSet)

FairSpec ==
  /\ Spec
  /\ \A e \in Epochs :
       /\ WF_vars(Put(e)) /\ WF_vars(Commit(e)) /\ WF_vars(Apply(e)) /\ WF_vars(Cross(e))
       /\ WF_vars(SealBehind(e)) /\ WF_vars(Redo(e)) /\ WF_vars(Settle(e)) /\ WF_vars(Open(e))
       /\ \A r \in Up : WF_vars(RaiseFence(e, r)) /\ WF_vars(\E q \in Seqs : Accept(e, r, q))

\* Whoever claimed opens, or is taken over in turn.
RecoveryEnds == \A e \in Epochs : (reg.epoch = e) ~> (op[e].phase = "open" \/ reg.epoch > e)
\* A boundary that was asked for gets on record, and every one on record is settled: at the latest by the next recovery.
RotationEnds == \A e \in Epochs : Planned(e) ~> (Boundaries = {} /\ ~Planned(e))

-----------------------------------------------------------------------------
Symmetric == Permutations(FirstSet)

Acked(e) == IF op[e].phase = "open" THEN op[e].from .. op[e].tail - 1 ELSE {}

NothingAcknowledgedIsLost ==
  \A e \in Epochs : \A q \in Acked(e) : q >= reg.floor =>
    \E i \in OwnersOf(q) :
      /\ ContentOf(reg.chain[i].id[1], q) = e
      /\ Cardinality(Holding(reg.chain[i].set, reg.chain[i].id, q)) >= reg.chain[i].qa

AcknowledgedOnce == \A e, f \in Epochs : e # f => Acked(e) \cap Acked(f) = {}

OneHistory ==
  /\ \A i \in 1 .. Len(reg.chain) - 1 : reg.chain[i].at = reg.chain[i + 1].base /\ reg.chain[i].end # "open"
  /\ Last(reg.chain).end = "open"
  /\ reg.chain[1].base <= Max(reg.floor, 0)

SealedOnAckQuorum ==
  \A i \in DOMAIN reg.chain : reg.chain[i].end = "sealed" =>
    \A q \in Max(reg.floor, reg.chain[i].base) .. reg.chain[i].at - 1 :
      Cardinality(Holding(reg.chain[i].set, reg.chain[i].id, q)) >= reg.chain[i].qa

OneBoundaryUnsettled == Cardinality(Boundaries) <= 1

\* P5, P16: what a writer puts into is on record, with these replicas, as long as it is the log's writer.
PutsOnlyIntoRegisteredSegments ==
  \A e \in Epochs : op[e].phase = "open" /\ reg.epoch = e =>
    \A k \in DOMAIN op[e].segs : op[e].next > Max(op[e].segs[k].base, reg.floor) =>
      \E i \in DOMAIN reg.chain :
        reg.chain[i].id = op[e].segs[k].id /\ reg.chain[i].base = op[e].segs[k].base /\ reg.chain[i].set = op[e].segs[k].set

SetsAreFull == \A i \in DOMAIN reg.chain : \E tier \in Tiers :
  Cardinality(reg.chain[i].set) = Cardinality(tier.set) /\ reg.chain[i].qa = tier.qa

NobodyBelowTheTail == reg.floor <= op[Last(reg.chain).id[1]].tail
=============================================================================
