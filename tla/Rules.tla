------------------------------- MODULE Rules -------------------------------
(***************************************************************************)
(* The arithmetic of the protocol, without any state: Quarry.tla explores  *)
(* it, TraceCheck.tla holds what the machines really did against the very  *)
(* same definitions. A segment is named <<epoch, index>>.                  *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

Growing == -1     \* the end of an open segment
NoSeq == -1       \* "newest" of a replica that holds nothing

MaxOf(S) == CHOOSE x \in S : \A y \in S : x >= y
Max(a, b) == IF a >= b THEN a ELSE b

(* P2, P6: a read quorum meets every ack quorum. *)
ReadQuorum(n, qa) == n - qa + 1

(* P3, P4: the fence first, whatever else is true of a put. *)
FenceAllows(fence, segment) == segment[1] >= fence

(* P6: how far a writer may put. *)
InWindow(seq, committed, window) == seq - committed < window

(* P8: what a replica says of a seq. `knows`: its identity is in force, so that it may say "never". *)
AnswerFor(seq, floor, holds, lost, knows) ==
  IF seq < floor THEN "trimmed"
  ELSE IF holds THEN "have"
  ELSE IF lost \/ ~knows THEN "unknown"
  ELSE "never"

(* P7.3: where the walk starts. `views` are the fence answers, each with a watermark and the newest seq. *)
WalkStart(base, floor, window, views) ==
  MaxOf({base, floor} \union {v.watermark : v \in views}
                      \union {v.newest + 1 - window : v \in {w \in views : w.newest # NoSeq}})

(* P7.3, P8: what the answers say of one seq; each argument counts replicas. Unknown is counted nowhere. *)
Verdict(have, never, trimmed, qa, qr) ==
  IF have >= qa THEN "proven"
  ELSE IF have > 0 THEN "kept"
  ELSE IF trimmed > 0 THEN "trimmed"
  ELSE IF never >= qr THEN "end"
  ELSE "undecided"

(* P7.3: where the walk from `seq` stops; V is a function from seqs to verdicts. *)
RECURSIVE WalkStop(_, _)
WalkStop(seq, V) == IF seq \in DOMAIN V /\ V[seq] \in {"proven", "kept"} THEN WalkStop(seq + 1, V) ELSE seq

(* P7.4: the first kept seq that is not proven; `end` if all are. *)
RECURSIVE CutFrom(_, _, _)
CutFrom(seq, end, V) == IF seq >= end \/ V[seq] = "kept" THEN seq ELSE CutFrom(seq + 1, end, V)

(* P7.5: an empty segment, and one that is wholly below the floor, leave the chain. *)
LeavesContent(base, end, floor) == end > base /\ end > floor

(* P7.5: the chain after the swap: the open segment sealed at `cut`, the new one from there. *)
SealAndAppend(chain, cut, floor, new) ==
  LET Stays(g) == LeavesContent(g.base, g.end, floor)
      sealed == [i \in DOMAIN chain |->
                   IF chain[i].end = Growing THEN [chain[i] EXCEPT !.end = Max(cut, chain[i].base)] ELSE chain[i]]
  IN Append(SelectSeq(sealed, Stays), new)

Last(chain) == chain[Len(chain)]

(* The segment of the chain that owns a seq, as a set of one or none. *)
OwnersOf(chain, seq) == {i \in DOMAIN chain : chain[i].base <= seq /\ (chain[i].end = Growing \/ seq < chain[i].end)}

(* P15, tail.rs: from `seq` on, a chunk that is on an ack quorum is committed if every one before it is. *)
RECURSIVE TailFrom(_, _)
TailFrom(seq, committed) == IF seq \in committed THEN TailFrom(seq + 1, committed) ELSE seq
=============================================================================
