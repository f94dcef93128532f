------------------------------- MODULE Quarry -------------------------------
(***************************************************************************)
(* The core of the protocol (DESIGN 3.2) with replicas that have a fence:  *)
(* one log, its writers, recoveries, replicas, trims and readers.          *)
(*                                                                         *)
(* A put, once sent, stays in `puts` for ever: it may be taken late, twice,*)
(* in any order or never. So delay, loss, duplication and reordering need  *)
(* no actions of their own, and a client that sleeps, or died, is one that *)
(* takes no steps for a while, or ever. An answer may be left out of any   *)
(* decision, which is the same as hearing it later.                        *)
(*                                                                         *)
(* The bytes of a chunk are its origin: the client that appended it. With  *)
(* the seq that is enough to tell any two chunks of a log apart.           *)
(***************************************************************************)
EXTENDS Rules, TLC

CONSTANTS
  Replica,     \* the replicas of the first segment
  Spare,       \* identities that a wiped or retired replica may come back under
  First,       \* the client that has the log open initially
  Client,      \* the clients that may take it over, once each
  Qa,          \* ack quorum
  Window,      \* of every segment, in chunks
  SeqMax,      \* appends: seqs 0 .. SeqMax - 1
  WriterMax,   \* writers of higher epochs append nothing of their own
  FloorMax,    \* no trim goes beyond this
  DamageMax,   \* how many replicas may lose, forget or be wiped of something
  Damages,     \* how: among "lose", "retire", "wipe"
  CrashMax,    \* how many crashes of replicas there are
  Apart,       \* which steps are taken apart: "store" (accept, then durable), "freeze" (asked after the fence),
               \* "hear" (an answer leaves, then it is heard), "stop" (writers and recoveries that give up)
  Reading,     \* whether there are readers
  Bug          \* the planted bug, or "none"

ASSUME /\ Apart \subseteq {"store", "freeze", "hear", "stop"}
       /\ Damages \subseteq {"lose", "retire", "wipe"}
       /\ ("hear" \in Apart) => ("freeze" \in Apart)

Clients == Client \union {First}
Disks == Replica \union Spare
Seqs == 0 .. SeqMax          \* SeqMax itself is never appended: the walk may have to ask about it
NoAnswers == [s \in Seqs |-> "none"]
None == [step |-> "none", watermark |-> 0, newest |-> NoSeq, answers |-> NoAnswers]

VARIABLES
  reg,      \* the register record: epoch, owner, floor, chain of segments
  cl,       \* client -> what it is doing
  heard,    \* client -> replica -> what that answered
  rp,       \* replica -> its state
  puts,     \* every put and copy ever sent: g segment, s seq, w watermark, o origin, to replicas
  acked,    \* what was acknowledged: g segment, s seq, o origin
  read,     \* what readers were given: s seq, o origin
  damaged,  \* replicas that lost something
  crashes   \* how many replicas crashed

vars == <<reg, cl, heard, rp, puts, acked, read, damaged, crashes>>

-----------------------------------------------------------------------------
(* Initially the first client has just opened the log: one empty segment on all replicas. *)

FirstSegment == [id |-> <<1, 0>>, base |-> 0, end |-> Growing, reps |-> Replica]
FirstRecord == [epoch |-> 1, owner |-> First, floor |-> 0, chain |-> <<FirstSegment>>]
NoRecord == [epoch |-> 0]

(* phase: idle, settle, copy, open (it has a writer), stopped. epoch and index name its segment, which begins at base;
   its own appends begin at start; next is the next seq to copy or to put. record: as read or written last. *)
Idle == [phase |-> "idle", epoch |-> 0, index |-> 0, base |-> 0, start |-> 0, next |-> 0, reps |-> {}, record |-> NoRecord]
Opened == [Idle EXCEPT !.phase = "open", !.epoch = 1, !.reps = Replica]

(* status: up, down, retired (serves reads and "unknown"), wiped (nobody by that name), unused. fence and floor as told,
   durable: the fence that is. accepted: puts on their way to the disk. held: what is durable. lost: names found lost.
   stored: names it answered "stored" for. *)
Blank == [status |-> "up", fence |-> 0, durable |-> 0, floor |-> 0, accepted |-> {}, held |-> {}, lost |-> {}, stored |-> {}]

Init ==
  /\ reg = FirstRecord
  /\ cl = [c \in Clients |-> IF c = First THEN Opened ELSE Idle]
  /\ heard = [c \in Client |-> [r \in Disks |-> None]]
  /\ rp = [r \in Disks |-> IF r \in Replica THEN Blank ELSE [Blank EXCEPT !.status = "unused"]]
  /\ puts = {} /\ acked = {} /\ read = {} /\ damaged = {} /\ crashes = 0

-----------------------------------------------------------------------------
(* Words. *)

SegmentOf(c) == <<cl[c].epoch, cl[c].index>>
Name(m) == <<m.g, m.s>>
Names(S) == {Name(m) : m \in S}

\* What was sent under a name; by P1 never two different contents.
Contents(g, s) == {m.o : m \in {p \in puts : p.g = g /\ p.s = s}}

\* Everything below it is committed, as far as a writer knows.
Committed(c) == MaxOf({cl[c].start} \union {a.s + 1 : a \in {x \in acked : x.o = c}})

StoredOn(g, s) == {r \in Disks : <<g, s>> \in rp[r].stored}
EverOn(g, s) == {r \in Disks : <<g, s>> \in rp[r].stored \union Names(rp[r].held) \union rp[r].lost}

\* The open segment that a recovery has to settle.
Old(c) == Last(cl[c].record.chain)

Readable(r) == rp[r].status \in {"up", "retired"}

-----------------------------------------------------------------------------
(* The writer. *)

MayPut(c) ==
  \/ cl[c].phase = "open"
  \/ Bug = "PutBeforeOpenConfirmed" /\ cl[c].phase = "copy" /\ cl[c].next >= cl[c].start

(* P2, P5, P6: to all replicas at once; each takes it when, and as often as, it arrives there. *)
Put(c) ==
  LET s == cl[c].next IN
  /\ MayPut(c) /\ s < SeqMax /\ cl[c].epoch <= WriterMax
  /\ InWindow(s, Committed(c), Window)
  /\ puts' = puts \union {[g |-> SegmentOf(c), s |-> s, w |-> Committed(c), o |-> c, to |-> cl[c].reps]}
  /\ cl' = [cl EXCEPT ![c].next = s + 1]
  /\ UNCHANGED <<reg, heard, rp, acked, read, damaged, crashes>>

(* P2: acknowledged once an ack quorum has answered, in order. *)
Commit(c) ==
  \E s \in cl[c].start .. cl[c].next - 1 :
    LET chunk == [g |-> SegmentOf(c), s |-> s, o |-> c] IN
    /\ MayPut(c) /\ chunk \notin acked
    /\ Bug = "CommitOutOfOrder" \/ s = Committed(c)
    /\ Cardinality(StoredOn(SegmentOf(c), s)) >= Qa
    /\ acked' = acked \union {chunk}
    /\ UNCHANGED <<reg, cl, heard, rp, puts, read, damaged, crashes>>

(* P9: refused by a fence, or past its deadline. A stopped writer does nothing that a sleeping one could not do. *)
Stop(c) ==
  /\ "stop" \in Apart
  /\ cl[c].phase = "open"
  /\ cl' = [cl EXCEPT ![c].phase = "stopped"]
  /\ UNCHANGED <<reg, heard, rp, puts, acked, read, damaged, crashes>>

-----------------------------------------------------------------------------
(* The replica. *)

CopyInPlace == -1     \* the watermark that marks a copy into the old segment, where that bug is planted
FenceTakes(r, m) == Bug = "NoFence" \/ m.w = CopyInPlace \/ FenceAllows(rp[r].fence, m.g)

TakesPuts(r) == rp[r].status = "up" \/ (Bug = "WipedAccepts" /\ rp[r].status = "wiped")

(* P3, P4. *)
Accept(r, m) ==
  /\ r \in m.to /\ TakesPuts(r)
  /\ FenceTakes(r, m)
  /\ m.s >= rp[r].floor
  /\ Name(m) \notin Names(rp[r].accepted \union rp[r].held)
  /\ LET fence == Max(rp[r].fence, m.g[1]) IN
     rp' = [rp EXCEPT ![r] =
       IF "store" \in Apart THEN [@ EXCEPT !.accepted = @ \union {m}, !.fence = fence]
       ELSE [@ EXCEPT !.held = @ \union {m}, !.lost = @ \ {Name(m)}, !.stored = @ \union {Name(m)},
                      !.fence = fence, !.durable = fence]]
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged, crashes>>

(* P4: "stored" is answered once it is durable: for the first put, for a repeated one, and for one below the floor. *)
Store(r, m) ==
  /\ r \in m.to /\ TakesPuts(r)
  /\ \/ /\ m \in rp[r].accepted
        /\ rp' = [rp EXCEPT ![r] = [@ EXCEPT !.accepted = @ \ {m}, !.held = @ \union {m}, !.lost = @ \ {Name(m)},
                                             !.stored = @ \union {Name(m)}, !.durable = Max(@, m.g[1])]]
     \/ /\ FenceTakes(r, m)
        /\ Name(m) \notin rp[r].stored
        /\ \/ m.s < rp[r].floor
           \/ Name(m) \in Names(rp[r].held)
           \/ Bug = "DuplicateAckedBeforeDurable" /\ m \in rp[r].accepted
        /\ rp' = [rp EXCEPT ![r].stored = @ \union {Name(m)}]
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged, crashes>>

Answering(r) == Readable(r) \/ (Bug = "WipedAnswers" /\ rp[r].status = "wiped")

(* P3: from here on lower epochs are refused. *)
RaiseFence(r, c) ==
  /\ "store" \in Apart
  /\ cl[c].phase = "settle" /\ r \in Old(c).reps
  /\ Answering(r) /\ rp[r].fence < cl[c].epoch
  /\ rp' = [rp EXCEPT ![r].fence = cl[c].epoch]
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged, crashes>>

\* Whether a fence answer may leave: nobody raised the fence further, and what was accepted below it is durable.
FenceIsDurable(r, epoch) ==
  IF "store" \in Apart
  THEN /\ rp[r].fence = epoch
       /\ Bug = "FenceAnsweredBeforeDurable" \/ \A m \in rp[r].accepted : m.g[1] >= epoch
  ELSE rp[r].fence <= epoch

FreezeAnswers(r, g) ==
  [s \in Seqs |-> AnswerFor(s, rp[r].floor, <<g, s>> \in Names(rp[r].held), <<g, s>> \in rp[r].lost,
                            rp[r].status # "retired")]

(* P6: a watermark belongs to one segment. It comes with the chunks that are held: what a trim dropped had none above the
   floor. *)
FenceAnswer(r, g) ==
  LET known == {m \in rp[r].held \union rp[r].accepted : Bug = "WatermarkPerLog" \/ m.g = g}
      newest == {m.s : m \in {x \in rp[r].held : x.g = g}} \union {n[2] : n \in {x \in rp[r].lost : x[1] = g}}
  IN [watermark |-> MaxOf({0} \union {m.w : m \in known}), newest |-> MaxOf({NoSeq} \union newest),
      step |-> "fence", answers |-> NoAnswers]

Frozen(r, c, answer) == [answer EXCEPT !.answers = FreezeAnswers(r, Old(c).id)]

(* P3: it leaves once it is true for ever. *)
AnswerFence(r, c) ==
  /\ "hear" \in Apart
  /\ cl[c].phase = "settle" /\ r \in Old(c).reps /\ heard[c][r] = None
  /\ Answering(r) /\ FenceIsDurable(r, cl[c].epoch)
  /\ rp' = [rp EXCEPT ![r] = [@ EXCEPT !.fence = cl[c].epoch, !.durable = cl[c].epoch]]
  /\ heard' = [heard EXCEPT ![c][r] = [FenceAnswer(r, Old(c).id) EXCEPT !.step = "fence on its way"]]
  /\ UNCHANGED <<reg, cl, puts, acked, read, damaged, crashes>>

(* P7.2: fence; unless it is taken apart, the answer comes at once, and says what is frozen. *)
HearFence(c, r) ==
  /\ cl[c].phase = "settle"
  /\ IF "hear" \in Apart
     THEN /\ heard[c][r] # None /\ heard[c][r].step = "fence on its way"
          /\ heard' = [heard EXCEPT ![c][r].step = "fence"]
          /\ UNCHANGED rp
     ELSE /\ r \in Old(c).reps /\ heard[c][r] = None
          /\ Answering(r) /\ FenceIsDurable(r, cl[c].epoch)
          /\ rp' = [rp EXCEPT ![r] = [@ EXCEPT !.fence = cl[c].epoch, !.durable = cl[c].epoch]]
          /\ LET answer == FenceAnswer(r, Old(c).id) IN
             heard' = [heard EXCEPT ![c][r] =
               IF "freeze" \in Apart THEN answer ELSE [Frozen(r, c, answer) EXCEPT !.step = "freeze"]]
  /\ UNCHANGED <<reg, cl, puts, acked, read, damaged, crashes>>

\* A freeze is answered at the durable fence of the one who asks.
FreezeIsAnswered(r, c) ==
  /\ r \in Old(c).reps /\ Answering(r)
  /\ rp[r].fence = cl[c].epoch /\ rp[r].durable = cl[c].epoch

AnswerFreeze(r, c) ==
  /\ "hear" \in Apart
  /\ cl[c].phase = "settle" /\ heard[c][r] # None /\ heard[c][r].step = "fence"
  /\ FreezeIsAnswered(r, c)
  /\ heard' = [heard EXCEPT ![c][r] = [Frozen(r, c, @) EXCEPT !.step = "freeze on its way"]]
  /\ UNCHANGED <<reg, cl, rp, puts, acked, read, damaged, crashes>>

\* What is open after an answer may be asked again.
Again(old, new) == [s \in Seqs |-> IF old[s] \in {"have", "never"} THEN old[s] ELSE new[s]]

HearFreeze(c, r) ==
  /\ "freeze" \in Apart
  /\ cl[c].phase = "settle" /\ heard[c][r] # None
  /\ IF "hear" \in Apart
     THEN /\ heard[c][r].step = "freeze on its way"
          /\ heard' = [heard EXCEPT ![c][r].step = "freeze"]
     ELSE /\ heard[c][r].step \in {"fence", "freeze"}
          /\ FreezeIsAnswered(r, c)
          /\ heard' = [heard EXCEPT ![c][r] =
               [@ EXCEPT !.step = "freeze", !.answers = Again(@, FreezeAnswers(r, Old(c).id))]]
          /\ heard' # heard
  /\ UNCHANGED <<reg, cl, rp, puts, acked, read, damaged, crashes>>

(* P12: the floor is durable here, what lies below is dropped, the fence is kept. Batches become durable in order: what
   was accepted before is. *)
Trim(r) ==
  \E f \in rp[r].floor + 1 .. reg.floor :
    /\ rp[r].status = "up"
    /\ \A m \in rp[r].accepted : m.s >= f
    /\ LET held == {m \in rp[r].held : m.s >= f}
           forget == Bug = "FenceForgottenWhenFreeing" /\ held = {} /\ rp[r].accepted = {}
       IN rp' = [rp EXCEPT ![r] = [@ EXCEPT !.floor = f, !.held = held, !.lost = {n \in @ : n[2] >= f},
                                            !.fence = IF forget THEN 0 ELSE @, !.durable = IF forget THEN 0 ELSE @]]
    /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged, crashes>>

-----------------------------------------------------------------------------
(* Faults of a replica. *)

Damage(r, how) ==
  /\ how \in Damages
  /\ Cardinality(damaged \union {r}) <= DamageMax
  /\ damaged' = damaged \union {r}
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, crashes>>

(* P8: a chunk was found lost; it is recorded and answered "unknown". *)
Lose(r) ==
  \E m \in rp[r].held :
    /\ rp[r].status = "up"
    /\ Damage(r, "lose")
    /\ rp' = [rp EXCEPT ![r] = [@ EXCEPT !.held = @ \ {m}, !.lost = @ \union {Name(m)}]]

(* P8: it may have lost something that it acknowledged, and does not know what. *)
Retire(r, new) ==
  /\ rp[r].status = "up" /\ rp[new].status = "unused"
  /\ Damage(r, "retire")
  /\ \E kept \in SUBSET rp[r].held :
       rp' = [rp EXCEPT ![r] = [@ EXCEPT !.status = "retired", !.held = kept, !.accepted = {}, !.fence = rp[r].durable],
                        ![new] = [Blank EXCEPT !.fence = rp[r].durable, !.durable = rp[r].durable, !.floor = rp[r].floor]]

(* P14: formatted anew under its old address. *)
Wipe(r, new) ==
  /\ rp[r].status = "up" /\ rp[new].status = "unused"
  /\ Damage(r, "wipe")
  /\ rp' = [rp EXCEPT ![r] = [Blank EXCEPT !.status = "wiped", !.stored = rp[r].stored], ![new] = Blank]

Crash(r) ==
  /\ crashes < CrashMax
  /\ rp[r].status = "up"
  /\ crashes' = crashes + 1
  /\ rp' = [rp EXCEPT ![r].status = "down"]
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged>>

(* D4, D5: what is durable is found again, whatever was on its way may be. *)
Restart(r) ==
  /\ rp[r].status = "down"
  /\ \E kept \in SUBSET rp[r].accepted, fence \in {rp[r].durable, rp[r].fence} :
       LET raised == MaxOf({fence} \union {m.g[1] : m \in kept}) IN
       rp' = [rp EXCEPT ![r] = [@ EXCEPT !.status = "up", !.accepted = {}, !.held = @ \union kept,
                                         !.lost = @ \ Names(kept), !.fence = raised, !.durable = raised]]
  /\ UNCHANGED <<reg, cl, heard, puts, acked, read, damaged, crashes>>

-----------------------------------------------------------------------------
(* Recovery. *)

(* P7.1. Reading and swapping are one step: a swap that compared the whole record as read had it unchanged. *)
Claim(c) ==
  LET base == IF Bug = "ClaimSwapIgnoresVersion" THEN FirstRecord ELSE reg
      record == [base EXCEPT !.epoch = @ + 1, !.owner = c]
  IN
  /\ c \in Client /\ cl[c].phase = "idle"
  /\ reg' = record
  /\ cl' = [cl EXCEPT ![c] = [Idle EXCEPT !.phase = "settle", !.epoch = record.epoch, !.record = record]]
  /\ UNCHANGED <<heard, rp, puts, acked, read, damaged, crashes>>

Count(c, Q, s, answer) == Cardinality({r \in Q : heard[c][r].answers[s] = answer})

VerdictOn(c, Q, s) ==
  LET have == Count(c, Q, s, "have")
      never == Count(c, Q, s, "never")
             + (IF Bug = "UnknownCountsAsNever" THEN Count(c, Q, s, "unknown") ELSE 0)
             + (IF Bug = "StartBelowFloor" THEN Count(c, Q, s, "trimmed") ELSE 0)
      trimmed == IF Bug = "StartBelowFloor" THEN 0 ELSE Count(c, Q, s, "trimmed")
      qr == IF Bug = "EndOnOneNegative" THEN 1 ELSE ReadQuorum(Cardinality(Old(c).reps), Qa)
  IN Verdict(have, never, trimmed, Qa, qr)

\* Where the next segment goes: on everything that is up by its own name.
Placement == {r \in Disks : rp[r].status \in {"up", "down"}}

(* P7.3: the walk, over the answers of any read quorum of those heard. *)
Settle(c) ==
  /\ cl[c].phase = "settle"
  /\ LET told == {r \in Disks : heard[c][r] # None}
         Heard == {r \in told : heard[c][r].step # "fence on its way"}
     IN \E Q \in SUBSET Heard :
       /\ Cardinality(Q) >= ReadQuorum(Cardinality(Old(c).reps), Qa)
       /\ LET floor == IF Bug = "StartBelowFloor" THEN 0 ELSE cl[c].record.floor
              start == WalkStart(Old(c).base, floor, Window, {heard[c][r] : r \in Q})
              V == [s \in Seqs |-> VerdictOn(c, Q, s)]
              end == WalkStop(start, V)
              cut == IF Bug \in {"NoCopyForward", "CopyIntoOldSegment"} THEN end ELSE CutFrom(start, end, V)
              from == IF Bug = "CopyIntoOldSegment" THEN CutFrom(start, end, V) ELSE cut
              again == cl[c].base # cut \/ cl[c].start # end
          IN /\ end \in Seqs /\ V[end] = "end"
             /\ cl' = [cl EXCEPT ![c] = [@ EXCEPT
                  !.phase = "copy", !.base = cut, !.start = end, !.next = from, !.reps = Placement,
                  \* Another plan, another name (P1); the first plan has index 1.
                  !.index = IF again \/ @ = 0 THEN @ + 1 ELSE @]]
  /\ heard' = IF FloorMax > 0 THEN heard ELSE [heard EXCEPT ![c] = [r \in Disks |-> None]]
  /\ Cardinality(Placement) >= Qa
  /\ UNCHANGED <<reg, rp, puts, acked, read, damaged, crashes>>

\* What the copies' writer knows to be stored on an ack quorum; nothing is acknowledged on it.
CopiesCommitted(c) ==
  LET below == {k \in cl[c].base .. cl[c].next :
                  \A j \in cl[c].base .. k - 1 : Cardinality(StoredOn(SegmentOf(c), j)) >= Qa}
  IN MaxOf(below)

(* P7.4: read from any replica of the old segment that has it, sent on under its own seq. *)
Copy(c) ==
  LET s == cl[c].next IN
  /\ cl[c].phase = "copy" /\ s < cl[c].start
  /\ \E r \in Old(c).reps : \E m \in rp[r].held :
       /\ Readable(r) /\ Name(m) = <<Old(c).id, s>>
       /\ puts' = puts \union
            {IF Bug = "CopyIntoOldSegment" THEN [m EXCEPT !.w = CopyInPlace]
             ELSE [g |-> SegmentOf(c), s |-> s, w |-> CopiesCommitted(c), o |-> m.o, to |-> cl[c].reps]}
  /\ cl' = [cl EXCEPT ![c].next = s + 1]
  /\ UNCHANGED <<reg, heard, rp, acked, read, damaged, crashes>>

NewSegment(c) == [id |-> SegmentOf(c), base |-> cl[c].base, end |-> Growing, reps |-> cl[c].reps]

(* P7.5: the commit point. The client may learn of it as late as it likes. *)
Open(c) ==
  /\ cl[c].phase = "copy" /\ cl[c].next >= cl[c].start
  /\ \A s \in cl[c].base .. cl[c].start - 1 : Cardinality(StoredOn(SegmentOf(c), s)) >= Qa
  /\ IF Bug = "FloorNotReread"
     THEN reg.epoch = cl[c].record.epoch /\ reg.owner = cl[c].record.owner
     ELSE reg = cl[c].record
  /\ reg' = [cl[c].record EXCEPT !.chain = SealAndAppend(@, cl[c].base, cl[c].record.floor, NewSegment(c))]
  /\ cl' = [cl EXCEPT ![c].phase = "open", ![c].record = NoRecord]
  /\ heard' = [heard EXCEPT ![c] = [r \in Disks |-> None]]
  /\ UNCHANGED <<rp, puts, acked, read, damaged, crashes>>

(* The record changed: if it is still this recovery's, the floor moved, and the walk is taken again (P7.5). *)
ReadAgain(c) ==
  /\ cl[c].phase \in {"settle", "copy"}
  /\ reg # cl[c].record /\ reg.epoch = cl[c].epoch /\ reg.owner = c
  /\ cl' = [cl EXCEPT ![c].phase = "settle", ![c].record = reg]
  /\ UNCHANGED <<reg, heard, rp, puts, acked, read, damaged, crashes>>

(* A chunk that an answer has can be read nowhere: that answer is as good as none (P8), and the walk is taken again. *)
TakeBack(c) ==
  /\ cl[c].phase = "copy" /\ cl[c].next < cl[c].start
  /\ Bug # "HaveForEver"
  /\ \A r \in Old(c).reps : ~(Readable(r) /\ <<Old(c).id, cl[c].next>> \in Names(rp[r].held))
  /\ cl' = [cl EXCEPT ![c].phase = "settle"]
  /\ heard' = [heard EXCEPT ![c] = [r \in Disks |-> IF rp[r].status = "up" THEN @[r] ELSE None]]
  /\ UNCHANGED <<reg, rp, puts, acked, read, damaged, crashes>>

(* It gives up: superseded, or past its deadline. *)
Abandon(c) ==
  /\ "stop" \in Apart
  /\ cl[c].phase \in {"settle", "copy"}
  /\ cl' = [cl EXCEPT ![c] = [Idle EXCEPT !.phase = "stopped", !.index = cl[c].index, !.epoch = cl[c].epoch]]
  /\ heard' = [heard EXCEPT ![c] = [r \in Disks |-> None]]
  /\ UNCHANGED <<reg, rp, puts, acked, read, damaged, crashes>>

-----------------------------------------------------------------------------
(* Trims and readers. *)

\* The clients whose segment the register holds or held.
Registered == {c \in Clients : cl[c].phase \in {"open", "stopped"} /\ cl[c].reps # {}}

\* How far a reader may go in a segment that it saw unsealed, be its record ever so old (P15).
ReadableTo(c) ==
  LET g == SegmentOf(c)
      watermark == MaxOf({cl[c].base} \union {m.w : m \in {p \in puts : p.g = g}})
  IN TailFrom(watermark, {s \in Seqs : Cardinality(StoredOn(g, s)) >= Qa})

(* P12: in the record first, and never above the committed tail, which the one who trims finds as a reader does: it may be
   ahead of what was acknowledged. *)
RaiseFloor ==
  \E c \in Registered : \E f \in reg.floor + 1 .. FloorMax :
    /\ SegmentOf(c) = Last(reg.chain).id
    /\ f <= ReadableTo(c)
    /\ reg' = [reg EXCEPT !.floor = f]
    /\ UNCHANGED <<cl, heard, rp, puts, acked, read, damaged, crashes>>

Read(c) ==
  \E r \in cl[c].reps : \E m \in rp[r].held :
    /\ Reading /\ c \in Registered /\ Readable(r)
    /\ m.g = SegmentOf(c)
    /\ m.s < ReadableTo(c)
    /\ [s |-> m.s, o |-> m.o] \notin read
    /\ read' = read \union {[s |-> m.s, o |-> m.o]}
    /\ UNCHANGED <<reg, cl, heard, rp, puts, acked, damaged, crashes>>

-----------------------------------------------------------------------------
Actions == {"Claim", "HearFence", "HearFreeze", "Settle", "Copy", "Open", "ReadAgain", "TakeBack", "Abandon", "Put", "Commit", "Stop",
            "Accept", "Store", "RaiseFence", "AnswerFence", "AnswerFreeze", "Trim", "Lose", "Retire", "Wipe", "Crash",
            "Restart", "RaiseFloor", "Read"}

Next ==
  \/ \E c \in Clients : Put(c) \/ Commit(c) \/ Stop(c) \/ Read(c)
  \/ \E c \in Client : Claim(c) \/ Settle(c) \/ Copy(c) \/ Open(c) \/ ReadAgain(c) \/ TakeBack(c) \/ Abandon(c)
  \/ \E c \in Client, r \in Disks : RaiseFence(r, c) \/ AnswerFence(r, c) \/ HearFence(c, r)
                                    \/ AnswerFreeze(r, c) \/ HearFreeze(c, r)
  \/ \E r \in Disks, m \in puts : Accept(r, m) \/ Store(r, m)
  \/ \E r \in Disks : Trim(r) \/ Lose(r) \/ Crash(r) \/ Restart(r)
  \/ \E r \in Disks, new \in Spare : Retire(r, new) \/ Wipe(r, new)
  \/ RaiseFloor

Spec == Init /\ [][Next]_vars
=============================================================================
