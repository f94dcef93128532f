--------------------------- MODULE TraceMutations ---------------------------
(***************************************************************************)
(* A check that cannot fail is none: traces that must be accepted, and     *)
(* what must be rejected once one thing in them is wrong.                  *)
(***************************************************************************)
EXTENDS TraceCheck

LOCAL Takeover == INSTANCE Takeover
LOCAL Faults == INSTANCE Faults

T == Takeover!Trace
F == Faults!Trace

\* The number of the only, or first, line of T that is so.
LineOf(Is(_)) == CHOOSE k \in DOMAIN T : Is(T[k]) /\ \A j \in 1 .. k - 1 : ~Is(T[j])

Without(L, k) == SubSeq(L, 1, k - 1) \o SubSeq(L, k + 1, Len(L))
Before(k, l) == SubSeq(T, 1, k - 1) \o <<l>> \o SubSeq(T, k, Len(T))
Moved(k, to) == IF k < to THEN SubSeq(T, 1, k - 1) \o SubSeq(T, k + 1, to) \o <<T[k]>> \o SubSeq(T, to + 1, Len(T))
                ELSE SubSeq(T, 1, to) \o <<T[k]>> \o SubSeq(T, to + 1, k - 1) \o SubSeq(T, k + 1, Len(T))

Old == <<1, 0>>
New == <<2, 0>>

Is(l, a, r, g, s) == l.a = a /\ l.replica = r /\ l.segment = g /\ l.seq = s
AcceptOf(r, g, s) == LineOf(LAMBDA l : Is(l, "Accept", r, g, s))
StoreOf(r, g, s) == LineOf(LAMBDA l : Is(l, "Store", r, g, s))
AnswerOf(r) == LineOf(LAMBDA l : l.a = "AnswerFence" /\ l.replica = r)
HearOf(r) == LineOf(LAMBDA l : l.a = "HearFence" /\ l.replica = r)
CommitOf(g, s) == LineOf(LAMBDA l : l.a = "Commit" /\ l.segment = g /\ l.seq = s)
SettleOf(e) == LineOf(LAMBDA l : l.a = "Settle" /\ l.epoch = e)
OpenOf(e) == LineOf(LAMBDA l : l.a = "Open" /\ l.epoch = e)
CopyTo(r) == LineOf(LAMBDA l : l.a = "Copy" /\ l.replica = r)
PutOf(r, g, s) == LineOf(LAMBDA l : Is(l, "Put", r, g, s))
ClaimOf(e) == LineOf(LAMBDA l : l.a = "Claim" /\ l.epoch = e)
OnlyOne(a) == LineOf(LAMBDA l : l.a = a)
HaveHeard == LineOf(LAMBDA l : l.a = "HearFreeze" /\ l.answer = "have")
NeverHeard(r) == LineOf(LAMBDA l : l.a = "HearFreeze" /\ l.answer = "never" /\ l.replica = r)
NeverSaid(r) == LineOf(LAMBDA l : l.a = "AnswerFreeze" /\ l.answer = "never" /\ l.replica = r)

LatePut == [a |-> "Accept", replica |-> "d3", segment |-> Old, seq |-> 0, watermark |-> 0, content |-> "c10"]

Mutations == <<
  <<"commit without an ack quorum", Without(T, StoreOf("d2", New, 2))>>,
  <<"commit before its store", Moved(CommitOf(Old, 0), StoreOf("d2", Old, 0) - 1)>>,
  <<"commit out of order", [T EXCEPT ![CommitOf(Old, 0)].seq = 1]>>,
  <<"store without accept", Without(T, AcceptOf("d1", Old, 0))>>,
  <<"store of another seq", [T EXCEPT ![StoreOf("d1", Old, 0)].seq = 1]>>,
  <<"fence answered before a put is durable", Moved(AnswerOf("d3"), StoreOf("d3", Old, 1) - 1)>>,
  <<"fence answer that misses the newest chunk", [T EXCEPT ![AnswerOf("d3")].newest = -1, ![HearOf("d3")].newest = -1]>>,
  <<"fence answer with a lower newest", [T EXCEPT ![AnswerOf("d3")].newest = 0, ![HearOf("d3")].newest = 0]>>,
  <<"fence answer with a lower watermark", [T EXCEPT ![AnswerOf("d3")].watermark = 0, ![HearOf("d3")].watermark = 0]>>,
  <<"fence answer with a watermark of nobody", [T EXCEPT ![AnswerOf("d1")].watermark = 2, ![HearOf("d1")].watermark = 2]>>,
  <<"fence answer heard otherwise", [T EXCEPT ![HearOf("d1")].newest = -1]>>,
  <<"accept below the fence", Before(AnswerOf("d3") + 1, LatePut)>>,
  <<"accept of what was not sent", [T EXCEPT ![AcceptOf("d1", Old, 0)].content = "other"]>>,
  <<"freeze answer that hides a chunk", [T EXCEPT ![HaveHeard - 1].answer = "never", ![HaveHeard].answer = "never"]>>,
  <<"freeze answer that invents a chunk", [T EXCEPT ![NeverSaid("d1")].answer = "have", ![NeverHeard("d1")].answer = "have"]>>,
  <<"unknown heard as never", [T EXCEPT ![NeverSaid("d1")].answer = "unknown"]>>,
  <<"unknown counted as never", [T EXCEPT ![NeverSaid("d1")].answer = "unknown", ![NeverHeard("d1")].answer = "unknown"]>>,
  <<"settled below an acknowledged chunk",
    [T EXCEPT ![SettleOf(2)].copy_from = 0, ![SettleOf(2)].end = 0, ![OpenOf(2)].base = 0, ![OpenOf(2)].end = 0]>>,
  <<"settled below a chunk that was heard of", [T EXCEPT ![SettleOf(2)].end = 1, ![OpenOf(2)].end = 1]>>,
  <<"settled above what was heard of", [T EXCEPT ![SettleOf(2)].end = 3, ![OpenOf(2)].end = 3]>>,
  <<"no copy of an unproven chunk", [T EXCEPT ![SettleOf(2)].copy_from = 2, ![OpenOf(2)].base = 2]>>,
  <<"settled without a read quorum of fences", Without(T, HearOf("d1"))>>,
  <<"settled without a read quorum of negatives", Without(T, NeverHeard("d1"))>>,
  <<"open at another end than the walk found", [T EXCEPT ![OpenOf(2)].end = 1]>>,
  <<"open by somebody else", [T EXCEPT ![OpenOf(2)].client = "w"]>>,
  <<"open before the copies are stored", Moved(OpenOf(2), StoreOf("d2", New, 1) - 1)>>,
  <<"open without a walk", Without(T, SettleOf(2))>>,
  <<"copy of another payload", [T EXCEPT ![CopyTo("d1")].payload = "other"]>>,
  <<"two copies that differ", [T EXCEPT ![CopyTo("d2")].content = "other"]>>,
  <<"copy into the old segment", [T EXCEPT ![CopyTo("d1")].segment = Old]>>,
  <<"copy of what need not be copied", [T EXCEPT ![CopyTo("d1")].seq = 0]>>,
  <<"put into a segment that is not registered", [T EXCEPT ![PutOf("d1", New, 2)].segment = <<2, 1>>]>>,
  <<"put before the swap is confirmed", Moved(PutOf("d1", New, 2), OpenOf(2) - 1)>>,
  <<"put of another content", [T EXCEPT ![PutOf("d2", Old, 0)].content = "other"]>>,
  <<"put that skips a seq", [T EXCEPT ![PutOf("d1", Old, 1)].seq = 2]>>,
  <<"put with a watermark above the committed", [T EXCEPT ![PutOf("d1", New, 2)].watermark = 3]>>,
  <<"put after the writer stopped", Moved(OnlyOne("Stop"), CommitOf(Old, 0))>>,
  <<"an epoch that is claimed twice", [T EXCEPT ![ClaimOf(2)].epoch = 1]>>,
  <<"restart that forgets a chunk", [T EXCEPT ![OnlyOne("Restart")].held = <<>>]>>,
  <<"restart that forgets the fence", [T EXCEPT ![OnlyOne("Restart")].fence = 0]>>,
  <<"restart with a chunk from nowhere", [T EXCEPT ![OnlyOne("Restart")].held = <<[segment |-> Old, from |-> 0, to |-> 3]>>]>>,
  <<"store by a replica that is down", Moved(OnlyOne("Restart"), StoreOf("d1", New, 1))>>,
  <<"read of what is not committed", [T EXCEPT ![OnlyOne("Read")].seq = 1]>>,
  <<"read of another content", [T EXCEPT ![OnlyOne("Read")].content = "other"]>>,
  <<"floor above the tail", [T EXCEPT ![OnlyOne("RaiseFloor")].floor = 4]>>,
  <<"trim above the floor", [T EXCEPT ![OnlyOne("Trim")].floor = 4]>>,
  <<"an action of another list", [T EXCEPT ![OnlyOne("Stop")].a = "Truncate"]>> >>

\* Nothing depends on these lines of T: the third replica's puts and copies, what is read or stopped last, a fence that the
\* next put raises, a put that a crash undid, one that is sent again and refused.
Dispensable == {k \in DOMAIN T :
  \/ T[k].a \in {"Stop", "Read", "Trim", "Crash"}
  \/ T[k].a = "RaiseFence" /\ T[k + 1].a = "Accept"
  \/ T[k].a = "Accept" /\ T[k + 1].a = "Crash"
  \/ T[k].a = "Put" /\ T[k + 1].a = "Stop"
  \/ T[k].a \in {"Put", "Copy"} /\ \A j \in DOMAIN T : T[j].a = "Accept" =>
        ~(T[j].replica = T[k].replica /\ T[j].segment = T[k].segment /\ T[j].seq = T[k].seq)}

Named(name, L, window) == [name |-> name, window |-> window, lines |-> L]

Good == <<Named("takeover", T, Takeover!Window), Named("faults", F, Faults!Window)>>

\* T without one line, for each of these lines.
Shortened(ks) ==
  [i \in 1 .. Cardinality(ks) |->
     LET k == CHOOSE x \in ks : Cardinality({y \in ks : y <= x}) = i
     IN Named(<<"without", k>>, Without(T, k), Takeover!Window)]

AllAccepted == Good \o Shortened(Dispensable)
AllRejected == [i \in DOMAIN Mutations |-> Named(Mutations[i][1], Mutations[i][2], Takeover!Window)]
            \o <<Named("a window that is too small", T, 0)>>
            \o Shortened(DOMAIN T \ Dispensable)

\* TLC evaluates what stands for a constant whenever it is used, but every other definition once.
Accepted == AllAccepted
Rejected == AllRejected

NoneIsRejected == verdict # "rejected"
NoneIsAccepted == verdict # "accepted"
=============================================================================
