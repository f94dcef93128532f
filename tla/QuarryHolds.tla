----------------------------- MODULE QuarryHolds -----------------------------
(***************************************************************************)
(* What must hold of Quarry.tla. This is the module that TLC is given.     *)
(***************************************************************************)
EXTENDS Quarry

Symmetric == Permutations(Replica) \union Permutations(Spare) \union Permutations(Client)

\* The log has this content at this seq, and always will.
InHistory(s, o) ==
  s < reg.floor \/ \E i \in OwnersOf(reg.chain, s) : Contents(reg.chain[i].id, s) = {o}

StillHeld(s, o) ==
  s < reg.floor \/ \E i \in OwnersOf(reg.chain, s) : \E r \in reg.chain[i].reps :
    \E m \in rp[r].held : Name(m) = <<reg.chain[i].id, s>> /\ m.o = o

(* Every acknowledged chunk that was not trimmed is in the chain, under its seq, with its bytes, on some disk. *)
NothingAcknowledgedLost == \A a \in acked : InHistory(a.s, a.o) /\ StillHeld(a.s, a.o)

(* Below a seal, and below where a recovery handed over, every chunk is on an ack quorum (not counting later damage). *)
SealedPrefixOnAckQuorum ==
  \A i \in DOMAIN reg.chain :
    LET g == reg.chain[i]
        openers == {c \in Registered : SegmentOf(c) = g.id}
        to == IF g.end # Growing THEN g.end ELSE IF openers = {} THEN g.base ELSE MaxOf({cl[c].start : c \in openers})
    IN \A s \in Max(g.base, reg.floor) .. to - 1 : Cardinality(EverOn(g.id, s)) >= Qa

NoAckOnUnregisteredSegment == \A a \in acked : \E c \in Registered : SegmentOf(c) = a.g

(* P1 *)
OneContentPerName ==
  \A p, q \in puts : Name(p) = Name(q) => p.o = q.o

(* P15 *)
ReadersSeePrefixes == \A x \in read : InHistory(x.s, x.o)

(* P8: where a recovery ended the log, an ack quorum never had the chunk: enough replicas can say so themselves. *)
UnknownNeverShortens ==
  \A c \in Client : cl[c].phase = "copy" =>
    LET never == {r \in Old(c).reps : <<Old(c).id, cl[c].start>> \notin rp[r].stored}
    IN Cardinality(never) >= ReadQuorum(Cardinality(Old(c).reps), Qa)

(* A seal is decided once: a segment that left the chain sealed is empty or trimmed, one that stays keeps its end, and only
   the last one is open. *)
SealDecidedOnce ==
  [][/\ \A i \in DOMAIN reg.chain :
          LET g == reg.chain[i]
              after == {h \in {reg'.chain[j] : j \in DOMAIN reg'.chain} : h.id = g.id}
          IN /\ Cardinality(after) <= 1
             /\ \A h \in after : h.base = g.base /\ (g.end = Growing \/ h.end = g.end)
             /\ after = {} => g.end <= reg'.floor
     /\ \A j \in 1 .. Len(reg'.chain) - 1 : reg'.chain[j].end # Growing]_reg

FloorsAndEpochsOnlyRise ==
  [][/\ reg'.epoch >= reg.epoch /\ reg'.floor >= reg.floor
     /\ \A r \in Disks : rp'[r].status \notin {"wiped", "unused"} /\ rp[r].status # "unused" =>
          rp'[r].durable >= rp[r].durable /\ rp'[r].floor >= rp[r].floor]_<<reg, rp>>

-----------------------------------------------------------------------------
(* Progress: these replicas stay reachable and come back after a crash, and the recovery goes on. Nothing is asked of the
   others, nor of anybody else. *)
Quorum == CHOOSE Q \in SUBSET Replica : Cardinality(Q) = Max(Qa, ReadQuorum(Cardinality(Replica), Qa))

LiveSpec ==
  /\ Spec
  /\ \A c \in Client :
       /\ WF_vars(Settle(c)) /\ WF_vars(Copy(c)) /\ WF_vars(Open(c)) /\ WF_vars(ReadAgain(c)) /\ WF_vars(TakeBack(c))
       /\ \A r \in Quorum : /\ WF_vars(RaiseFence(r, c)) /\ WF_vars(AnswerFence(r, c)) /\ WF_vars(HearFence(c, r))
                            /\ WF_vars(AnswerFreeze(r, c)) /\ WF_vars(HearFreeze(c, r))
  /\ \A r \in Quorum : /\ WF_vars(\E m \in puts : Accept(r, m)) /\ WF_vars(\E m \in puts : Store(r, m))
                       /\ WF_vars(Restart(r))

(* With a quorum up, and nobody else to take the log over, a recovery ends: the log is open. *)
RecoveryEnds == \A c \in Client : cl[c].phase = "settle" ~> cl[c].phase = "open"

TypeOK ==
  /\ reg.epoch \in Nat /\ reg.floor \in Seqs /\ Len(reg.chain) >= 1
  /\ \A r \in Disks : rp[r].durable <= rp[r].fence \/ rp[r].status = "down"
  /\ \A r \in Disks : \A m \in rp[r].held : m \in puts /\ m.s >= rp[r].floor
=============================================================================
