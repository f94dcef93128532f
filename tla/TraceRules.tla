----------------------------- MODULE TraceRules -----------------------------
(***************************************************************************)
(* The state that a trace's lines lead to, and what each line may be.      *)
(* Reason says why a line does not fit a state ("" if it does), After what *)
(* state it leads to. Both are functions of the state and the line alone.  *)
(*                                                                         *)
(* The arithmetic (quorums, window, fence, answers, walk, cut, seal) is    *)
(* Rules.tla, which Quarry.tla explores. The guards are Quarry's, restated *)
(* for lines that carry their own seqs, answers and replicas.              *)
(***************************************************************************)
EXTENDS Rules, TLC

-----------------------------------------------------------------------------
(* The state, one record S.

   epoch, floor, deleted, chain   the register record
   recoveries    epoch -> client, phase (settling, settled, opened), chain as claimed, views and runs heard, cut, end
   born          every segment that the register ever held -> replicas, qa, base, start
   sent          name -> content, watermark (-1 if not known), payload, origin, replicas it was handed to
   committed     segment -> next seq to be acknowledged
   appended      segment -> next seq to be put
   stopped       segments whose writer stopped
   machines      machine -> see Blank. A machine is named by its first disk id
   called        disk id -> machine, for those that are not the first
   retired       disk ids that may have lost something
   fenceSaid, freezeSaid   answers that left
   early         numbers of lines whose effect was applied before they were learnt
   window        of every segment, in chunks *)

Blank == [status |-> "up", fence |-> 0, durable |-> 0, floor |-> 0, accepted |-> {}, held |-> {}, lost |-> {},
          stored |-> {}, fresh |-> FALSE, deleted |-> FALSE]

Nothing == <<>>      \* the function with an empty domain

Start(window) == [window |-> window, epoch |-> 0, floor |-> 0, deleted |-> FALSE, chain |-> <<>>, recoveries |-> Nothing, born |-> Nothing,
          sent |-> Nothing, committed |-> Nothing, appended |-> Nothing, stopped |-> {}, machines |-> Nothing,
          called |-> Nothing, retired |-> {}, fenceSaid |-> {}, freezeSaid |-> {}, early |-> {}]

Field(l, name, otherwise) == IF name \in DOMAIN l THEN l[name] ELSE otherwise
Elements(f) == {f[i] : i \in DOMAIN f}

MachineOf(S, r) == IF r \in DOMAIN S.called THEN S.called[r] ELSE r
Machine(S, r) == LET m == MachineOf(S, r) IN IF m \in DOMAIN S.machines THEN S.machines[m] ELSE Blank
WithMachine(S, r, machine) == [S EXCEPT !.machines = (MachineOf(S, r) :> machine) @@ @]

\* A process that restarted and found nothing of the log has nothing to say: it is as new.
Revived(m) ==
  IF m.status = "down" /\ m.durable = 0 /\ m.floor = 0 /\ m.held = {} /\ ~m.deleted
  THEN [m EXCEPT !.status = "up", !.fence = 0, !.accepted = {}] ELSE m
Running(S, r) == Revived(Machine(S, r))

Name(l) == <<l.segment, l.seq>>
NamesIn(runs) == UNION {{<<run.segment, s>> : s \in run.from .. run.to - 1} : run \in Elements(runs)}

StoredOn(S, name, replicas) == {r \in replicas : name \in Machine(S, r).stored}
OnAckQuorum(S, g, from, to) ==
  \A s \in from .. to - 1 : Cardinality(StoredOn(S, <<g, s>>, S.born[g].replicas)) >= S.born[g].qa

\* Everything below it is committed, or was kept by a recovery.
CommittedTail(S) == MaxOf({S.floor} \union {S.committed[g] : g \in DOMAIN S.committed})

\* Who trims finds the tail as a reader does: it may be ahead of what was acknowledged.
TailToTrim(S) ==
  LET g == Last(S.chain).id
      ahead == CommittedTail(S) .. CommittedTail(S) + S.window
  IN IF S.chain = <<>> THEN 0 ELSE TailFrom(CommittedTail(S), {s \in ahead : OnAckQuorum(S, g, s, s + 1)})

OldSegment(S, e) == Last(S.recoveries[e].chain)
OldQuorum(S, e) == LET b == S.born[OldSegment(S, e).id] IN ReadQuorum(Cardinality(b.replicas), b.qa)

-----------------------------------------------------------------------------
(* Recovery. *)

ClaimReason(S, l) ==
  IF l.epoch \in DOMAIN S.recoveries THEN "the epoch was claimed before"
  ELSE IF S.deleted /\ l.epoch > S.epoch THEN "the log is deleted"
  ELSE ""

\* A claim that is learnt late saw the chain that the next one saw.
ChainAtClaim(S, e) ==
  LET later == {x \in DOMAIN S.recoveries : x > e}
  IN IF later = {} THEN S.chain ELSE S.recoveries[CHOOSE x \in later : \A y \in later : x <= y].chain

ClaimAfter(S, l) ==
  LET recovery == [client |-> l.client, phase |-> "settling", chain |-> ChainAtClaim(S, l.epoch), views |-> Nothing,
                   runs |-> Nothing, cut |-> 0, end |-> 0]
  IN [S EXCEPT !.epoch = Max(@, l.epoch), !.recoveries = (l.epoch :> recovery) @@ @]

AskedReason(S, l) ==
  IF l.epoch \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF S.recoveries[l.epoch].chain = <<>> THEN "there is nothing to settle"
  ELSE IF l.segment # OldSegment(S, l.epoch).id THEN "this is not the segment to be settled"
  ELSE IF MachineOf(S, l.replica) \notin {MachineOf(S, r) : r \in S.born[l.segment].replicas}
       THEN "this is no replica of the segment"
  ELSE ""

FenceFact(S, l) == <<MachineOf(S, l.replica), l.epoch, l.segment, l.watermark, l.newest>>
FreezeFact(S, l) == <<MachineOf(S, l.replica), l.epoch, l.segment, l.from, l.to, l.answer>>

HearFenceReason(S, l) ==
  IF AskedReason(S, l) # "" THEN AskedReason(S, l)
  ELSE IF FenceFact(S, l) \notin S.fenceSaid THEN "no such fence answer left"
  ELSE ""

HearFenceAfter(S, l) ==
  LET view == [watermark |-> l.watermark, newest |-> l.newest]
  IN [S EXCEPT !.recoveries[l.epoch].views = (l.replica :> view) @@ @]

HearFreezeReason(S, l) ==
  IF AskedReason(S, l) # "" THEN AskedReason(S, l)
  ELSE IF l.replica \notin DOMAIN S.recoveries[l.epoch].views THEN "it was not fenced before it was asked"
  ELSE IF FreezeFact(S, l) \notin S.freezeSaid THEN "no such freeze answer left"
  ELSE ""

HearFreezeAfter(S, l) ==
  LET runs == S.recoveries[l.epoch].runs
      before == IF l.replica \in DOMAIN runs THEN runs[l.replica] ELSE <<>>
      run == [from |-> l.from, to |-> l.to, answer |-> l.answer]
  IN [S EXCEPT !.recoveries[l.epoch].runs = (l.replica :> Append(before, run)) @@ @]

\* What a replica said last of a seq.
Answer(S, e, r, s) ==
  LET runs == S.recoveries[e].runs
      about == IF r \in DOMAIN runs THEN {i \in DOMAIN runs[r] : runs[r][i].from <= s /\ s < runs[r][i].to} ELSE {}
  IN IF about = {} THEN "none" ELSE runs[r][MaxOf(about)].answer

\* Answers that hold still: what a replica found lost since then, it takes back.
Answered(S, e, s, answer) ==
  {r \in DOMAIN S.recoveries[e].views :
     Answer(S, e, r, s) = answer /\ (answer = "have" => <<OldSegment(S, e).id, s>> \notin Machine(S, r).lost)}

SettleReason(S, l) ==
  LET e == l.epoch
      g == OldSegment(S, e)
      R == S.recoveries[e]
      qa == S.born[g.id].qa
      floor == Field(l, "floor", S.floor)
      start == WalkStart(g.base, floor, S.window, {R.views[r] : r \in DOMAIN R.views})
      V == [s \in start .. l.end |-> Verdict(Cardinality(Answered(S, e, s, "have")), Cardinality(Answered(S, e, s, "never")),
                                             Cardinality(Answered(S, e, s, "trimmed")), qa, OldQuorum(S, e))]
      stop == WalkStop(start, V)
  IN
  IF e \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF R.phase = "opened" THEN "its segment is open already"
  ELSE IF l.end < CommittedTail(S) /\ S.epoch = e THEN "the log would end below what was acknowledged"
  ELSE IF R.chain = <<>> THEN IF l.copy_from = l.end /\ l.end = floor THEN "" ELSE "an empty log ends at its floor"
  ELSE IF Cardinality(DOMAIN R.views) < OldQuorum(S, e) THEN "fewer than a read quorum are fenced"
  ELSE IF floor > TailToTrim(S) THEN "the floor is above the committed tail"
  ELSE IF l.end < start THEN "the end is below where the walk starts"
  ELSE IF stop < l.end THEN "kept a chunk that no answer has"
  ELSE IF stop > l.end THEN "cut a chunk that an answer has"
  ELSE IF V[l.end] # "end" THEN "ended without a read quorum that never had the chunk"
  ELSE IF l.copy_from > CutFrom(start, l.end, V) THEN "does not copy a chunk that is not proven on an ack quorum"
  ELSE ""

\* The floor stood in the record that it settled with, whether or not the one who raised it has learnt that.
SettleAfter(S, l) ==
  [S EXCEPT !.floor = Max(@, Field(l, "floor", 0)), !.recoveries[l.epoch] = [@ EXCEPT !.phase = "settled", !.cut = l.copy_from, !.end = l.end]]

\* Another content under a name (P1), or another payload than that of the chunk it is a copy of.
ContentReason(S, l, from) ==
  LET payload == Field(l, "payload", "") IN
  IF Name(l) \in DOMAIN S.sent /\ S.sent[Name(l)].content # l.content THEN "another content under the same name"
  ELSE IF from \in DOMAIN S.sent /\ payload # "" /\ S.sent[from].payload # "" /\ S.sent[from].payload # payload
       THEN "not the bytes of that chunk"
  ELSE ""

Sent(S, l, watermark, origin) ==
  LET name == Name(l)
      new == [content |-> l.content, watermark |-> watermark, payload |-> Field(l, "payload", ""), origin |-> origin, to |-> {}]
      chunk == IF name \in DOMAIN S.sent THEN S.sent[name] ELSE new
  IN [S EXCEPT !.sent = (name :> [chunk EXCEPT !.to = @ \union {l.replica}]) @@ @]

CopyReason(S, l) ==
  LET R == S.recoveries[l.epoch]
      from == <<OldSegment(S, l.epoch).id, l.seq>>
  IN
  IF l.epoch \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF l.segment[1] # l.epoch THEN "a copy goes into a segment of its own epoch"
  ELSE IF l.segment \in DOMAIN S.born THEN "copies go into a segment that is not registered yet"
  ELSE IF R.phase # "settled" THEN "the walk has not ended"
  ELSE IF l.seq \notin R.cut .. R.end - 1 THEN "this chunk is not to be copied"
  ELSE IF from \notin DOMAIN S.sent THEN "nobody ever put this chunk"
  ELSE ContentReason(S, l, from)

CopyAfter(S, l) == Sent(S, l, -1, S.sent[<<OldSegment(S, l.epoch).id, l.seq>>].origin)

OpenReason(S, l) ==
  LET R == S.recoveries[l.epoch] IN
  IF l.epoch \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF R.client # l.client THEN "another client claimed this epoch"
  ELSE IF R.phase # "settled" THEN "the walk has not ended"
  ELSE IF S.epoch # l.epoch THEN "a later epoch was claimed before"
  ELSE IF l.segment[1] # l.epoch \/ l.segment \in DOMAIN S.born THEN "this is no new segment of its epoch"
  ELSE IF l.base # R.cut \/ l.end # R.end THEN "not what the walk found"
  ELSE IF l.ack_quorum \notin 1 .. Cardinality(Elements(l.replicas)) THEN "this ack quorum cannot be"
  ELSE IF \E s \in l.base .. l.end - 1 : Cardinality(StoredOn(S, <<l.segment, s>>, Elements(l.replicas))) < l.ack_quorum
       THEN "a copy is not on an ack quorum"
  ELSE IF Field(l, "floor", 0) > Max(TailToTrim(S), l.end) THEN "the floor is above the committed tail"
  ELSE IF l.end < CommittedTail(S) THEN "the log would end below what was acknowledged"
  ELSE ""

\* The swap takes place.
Registered(S, l) ==
  LET new == [id |-> l.segment, base |-> l.base, end |-> Growing]
      R == S.recoveries[l.epoch]
      born == [replicas |-> Elements(l.replicas), qa |-> l.ack_quorum, base |-> l.base, start |-> l.end]
  IN [S EXCEPT !.chain = SealAndAppend(R.chain, l.base, S.floor, new), !.born = (l.segment :> born) @@ @,
               !.committed = (l.segment :> l.end) @@ @, !.appended = (l.segment :> l.end) @@ @]

\* Somebody may have raised the floor meanwhile who has not learnt of it: it stood in the record that this client read.
Learnt(S, l) == [S EXCEPT !.floor = Max(@, Field(l, "floor", 0)), !.recoveries[l.epoch].phase = "opened"]

\* Whoever claimed after an open that nobody learnt of, saw it.
SeenByLater(S, e) ==
  [S EXCEPT !.recoveries = [x \in DOMAIN @ |-> IF x > e THEN [@[x] EXCEPT !.chain = S.chain] ELSE @[x]]]

BuryReason(S, l) ==
  IF l.epoch \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF S.recoveries[l.epoch].client # l.client THEN "another client claimed this epoch"
  ELSE IF S.epoch # l.epoch THEN "a later epoch was claimed before"
  ELSE IF S.recoveries[l.epoch].chain # <<>> /\ Cardinality(DOMAIN S.recoveries[l.epoch].views) < OldQuorum(S, l.epoch)
       THEN "fewer than a read quorum are fenced"
  ELSE ""

-----------------------------------------------------------------------------
(* The writer. *)

WriterReason(S, l) ==
  IF l.segment \notin DOMAIN S.born THEN "the register does not hold this segment"
  ELSE IF S.recoveries[l.segment[1]].phase # "opened" THEN "its swap is not confirmed"
  ELSE IF l.segment \in S.stopped THEN "its writer has stopped"
  ELSE ""

PutReason(S, l) ==
  LET g == l.segment IN
  IF WriterReason(S, l) # "" THEN WriterReason(S, l)
  ELSE IF l.epoch # g[1] THEN "only the epoch that opened a segment puts into it"
  ELSE IF l.replica \notin S.born[g].replicas THEN "this is no replica of the segment"
  ELSE IF l.seq < S.born[g].base \/ l.seq > S.appended[g] THEN "seqs are handed out in order"
  ELSE IF l.seq = S.appended[g] /\ ~InWindow(l.seq, S.committed[g], S.window) THEN "the window is full"
  ELSE IF l.watermark > S.committed[g] THEN "the watermark is above what is committed"
  ELSE IF Name(l) \in DOMAIN S.sent /\ S.sent[Name(l)].watermark \notin {-1, l.watermark}
       THEN "another watermark than when it was first put"
  ELSE ContentReason(S, l, Name(l))

PutAfter(S, l) == [Sent(S, l, l.watermark, l.segment) EXCEPT !.appended[l.segment] = Max(@, l.seq + 1)]

\* The log has what this writer put there, or a copy of it, and always will.
InHistory(S, name) ==
  \/ name[2] < S.floor
  \/ \E i \in OwnersOf(S.chain, name[2]) :
       LET kept == <<S.chain[i].id, name[2]>> IN kept \in DOMAIN S.sent /\ S.sent[kept].origin = S.sent[name].origin

CommitReason(S, l) ==
  IF WriterReason(S, l) # "" THEN WriterReason(S, l)
  ELSE IF l.seq # S.committed[l.segment] THEN "chunks are acknowledged in order"
  ELSE IF Name(l) \notin DOMAIN S.sent THEN "it was never put"
  ELSE IF ~OnAckQuorum(S, l.segment, l.seq, l.seq + 1) THEN "it is not stored on an ack quorum"
  ELSE IF ~InHistory(S, Name(l)) THEN "a recovery ended the log before this chunk"
  ELSE ""

-----------------------------------------------------------------------------
(* The replica. *)

StatusReason(S, l) ==
  LET m == Running(S, l.replica) IN
  IF m.status = "down" THEN "it is down"
  ELSE IF m.status = "wiped" THEN "it was wiped: it is nobody by this name"
  ELSE ""

AcceptReason(S, l) ==
  LET m == Running(S, l.replica) IN
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF l.replica \in S.retired THEN "a retired identity takes no puts"
  ELSE IF m.deleted THEN "the log is deleted here"
  ELSE IF Name(l) \notin DOMAIN S.sent \/ l.replica \notin S.sent[Name(l)].to THEN "nobody sent it there"
  ELSE IF S.sent[Name(l)].content # l.content THEN "not the content that was sent"
  ELSE IF S.sent[Name(l)].watermark \notin {-1, l.watermark} THEN "not the watermark that was sent"
  ELSE IF l.watermark > l.seq THEN "a watermark above the chunk's own seq"
  ELSE IF ~FenceAllows(m.fence, l.segment) THEN "its epoch is below the fence"
  ELSE IF l.seq < m.floor THEN "it is below the floor"
  ELSE IF Name(l) \in {c.name : c \in m.accepted \union m.held} THEN "it is here already"
  ELSE ""

Chunk(l) == [name |-> Name(l), watermark |-> l.watermark]

AcceptAfter(S, l) ==
  WithMachine(S, l.replica, [Running(S, l.replica) EXCEPT !.accepted = @ \union {Chunk(l)}, !.fence = Max(@, l.segment[1])])

StoreReason(S, l) ==
  LET m == Running(S, l.replica) IN
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF l.replica \in S.retired THEN "a retired identity takes no puts"
  ELSE IF Name(l) \in {c.name : c \in m.accepted \union m.held} THEN ""
  ELSE IF l.seq < m.floor /\ Name(l) \in DOMAIN S.sent /\ l.replica \in S.sent[Name(l)].to THEN ""
  ELSE "nothing of that name was accepted"

StoreAfter(S, l) ==
  LET m == Running(S, l.replica)
      now == {c \in m.accepted : c.name = Name(l)}
  IN WithMachine(S, l.replica, [m EXCEPT !.accepted = @ \ now, !.held = @ \union now, !.stored = @ \union {Name(l)},
                                         !.lost = @ \ {Name(l)},
                                         !.durable = IF now = {} THEN @ ELSE Max(@, l.segment[1])])

RaiseFenceReason(S, l) ==
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF l.epoch \notin DOMAIN S.recoveries THEN "its epoch was not claimed"
  ELSE IF l.epoch <= Running(S, l.replica).fence THEN "the fence does not rise"
  ELSE ""

NewestOf(m, g) == MaxOf({NoSeq} \union {c.name[2] : c \in {h \in m.held : h.name[1] = g}}
                                 \union {n[2] : n \in {x \in m.lost : x[1] = g}})

AnswerFenceReason(S, l) ==
  LET m == Running(S, l.replica)
      heard == {S.sent[n].watermark : n \in {x \in DOMAIN S.sent : x[1] = l.segment /\ l.replica \in S.sent[x].to}}
               \union {c.watermark : c \in {h \in m.held : h.name[1] = l.segment}}
               \* What a lost chunk said was heard all the same; a watermark is at most the seq that it came with.
               \union {n[2] : n \in {x \in m.lost : x[1] = l.segment}}
  IN
  IF AskedReason(S, l) # "" THEN AskedReason(S, l)
  ELSE IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF m.fence # l.epoch THEN "another fence is in force"
  ELSE IF \E c \in m.accepted : c.name[1][1] < l.epoch THEN "a put that was accepted before is not durable yet"
  ELSE IF l.newest # NewestOf(m, l.segment) THEN "its newest chunk is another one"
  ELSE IF \E c \in m.held : c.name[1] = l.segment /\ c.watermark > l.watermark THEN "its watermark is higher"
  ELSE IF l.watermark > MaxOf({0, m.floor} \union heard) THEN "it cannot have heard of this watermark"
  ELSE ""

AnswerFenceAfter(S, l) ==
  LET T == WithMachine(S, l.replica, [Running(S, l.replica) EXCEPT !.durable = l.epoch])
  IN [T EXCEPT !.fenceSaid = @ \union {FenceFact(S, l)}]

AnswerFreezeReason(S, l) ==
  LET m == Running(S, l.replica)
      names == {c.name : c \in m.held}
      knows == l.replica \notin S.retired
      Truth(s) == AnswerFor(s, m.floor, <<l.segment, s>> \in names, <<l.segment, s>> \in m.lost, knows)
  IN
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF l.answer = "unknown" THEN ""       \* that is always true, and never helps (P8)
  ELSE IF AskedReason(S, l) # "" THEN AskedReason(S, l)
  ELSE IF m.fence # l.epoch \/ m.durable # l.epoch THEN "it is not fenced at this epoch"
  ELSE IF \E s \in l.from .. l.to - 1 : Truth(s) # l.answer THEN "this is not what it holds"
  ELSE ""

TrimReason(S, l) ==
  LET m == Running(S, l.replica) IN
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF l.floor < m.floor THEN "the floor does not rise"
  ELSE IF l.floor > S.floor THEN "the register does not hold this floor"
  ELSE IF \E c \in m.accepted : c.name[2] < l.floor THEN "a put that was accepted before is not durable yet"
  ELSE ""

Trimmed(m, floor) ==
  [m EXCEPT !.floor = floor, !.held = {c \in @ : c.name[2] >= floor}, !.lost = {n \in @ : n[2] >= floor}]

LoseAfter(S, l) ==
  LET m == Running(S, l.replica)
      names == {<<l.segment, s>> : s \in Max(l.from, m.floor) .. l.to - 1}
  IN WithMachine(S, l.replica, [m EXCEPT !.held = {c \in @ : c.name \notin names}, !.lost = @ \union names])

\* A deletion whose client never learnt that its tombstone is in the register.
MayBeBuried(S, e) ==
  /\ e \in DOMAIN S.recoveries /\ S.recoveries[e].phase = "settling"
  /\ S.recoveries[e].chain # <<>> => Cardinality(DOMAIN S.recoveries[e].views) >= OldQuorum(S, e)

ForgetReason(S, l) ==
  IF StatusReason(S, l) # "" THEN StatusReason(S, l)
  ELSE IF ~S.deleted /\ ~MayBeBuried(S, l.epoch) THEN "there is no tombstone"
  ELSE ""

ForgetAfter(S, l) ==
  LET m == Running(S, l.replica)
      fence == Max(m.fence, l.epoch)
      T == WithMachine(S, l.replica, [m EXCEPT !.deleted = TRUE, !.held = {}, !.lost = {}, !.accepted = {},
                                               !.fence = fence, !.durable = fence])
  IN [T EXCEPT !.deleted = TRUE]

RestartReason(S, l) ==
  LET m == Machine(S, l.replica)
      found == NamesIn(l.held)
      lost == NamesIn(Field(l, "lost", <<>>)) \union m.lost
      durable == {c.name : c \in {h \in m.held : h.name[2] >= l.floor}}
      possible == {c.name : c \in m.held \union m.accepted}
  IN
  IF m.status = "wiped" THEN "it was wiped: it is nobody by this name"
  ELSE IF l.fence < m.durable THEN "it forgot its fence"
  ELSE IF l.fence > m.fence THEN "nobody raised this fence"
  ELSE IF l.floor < m.floor THEN "it forgot its floor"
  ELSE IF l.floor > S.floor THEN "the register does not hold this floor"
  ELSE IF ~m.fresh /\ ~m.deleted /\ ~(durable \subseteq found \union lost) THEN "it forgot a chunk that was durable"
  ELSE IF ~(found \subseteq possible) THEN "it holds a chunk that it never took"
  ELSE ""

RestartAfter(S, l) ==
  LET m == Machine(S, l.replica)
      found == NamesIn(l.held)
      lost == NamesIn(Field(l, "lost", <<>>)) \union m.lost
      held == {c \in m.held \union m.accepted : c.name \in found}
  IN WithMachine(S, l.replica, [m EXCEPT !.status = "up", !.fence = l.fence, !.durable = l.fence, !.floor = l.floor,
                                         !.accepted = {}, !.held = held, !.lost = lost \ found, !.fresh = FALSE])

RetireAfter(S, l) ==
  LET m == [Machine(S, l.replica) EXCEPT !.fresh = TRUE]
      T == WithMachine(S, l.replica, m)
  IN [T EXCEPT !.retired = @ \union {l.replica}, !.called = (l.new :> MachineOf(S, l.replica)) @@ @]

WipeAfter(S, l) ==
  WithMachine(S, l.replica, [Blank EXCEPT !.status = "wiped", !.stored = Machine(S, l.replica).stored])

NewNameReason(S, l) ==
  IF l.new \in DOMAIN S.machines \union DOMAIN S.called \/ l.new = l.replica THEN "this is no new identity" ELSE ""

-----------------------------------------------------------------------------
(* Trims and readers. *)

RaiseFloorReason(S, l) == IF l.floor > TailToTrim(S) THEN "the floor is above the committed tail" ELSE ""

ReadReason(S, l) ==
  LET g == l.segment
      watermark == MaxOf({S.born[g].base, S.committed[g]} \union {S.sent[n].watermark : n \in {x \in DOMAIN S.sent : x[1] = g}})
      onQuorum == {s \in watermark .. l.seq : OnAckQuorum(S, g, s, s + 1)}
  IN
  IF g \notin DOMAIN S.born THEN "the register does not hold this segment"
  ELSE IF Name(l) \notin DOMAIN S.sent THEN "nobody put this chunk"
  ELSE IF l.seq >= TailFrom(watermark, onQuorum) THEN "it is not known to be committed"
  ELSE IF ~InHistory(S, Name(l)) THEN "a recovery ended the log before this chunk"
  ELSE ContentReason(S, l, Name(l))

-----------------------------------------------------------------------------
\* The names of the lines there are.
Actions == {"Claim", "HearFence", "HearFreeze", "Settle", "Copy", "Open", "Bury", "Abandon", "Put", "Commit", "Stop",
            "Accept", "Store", "RaiseFence", "AnswerFence", "AnswerFreeze", "Trim", "Forget", "Lose", "Retire", "Wipe",
            "Crash", "Restart", "RaiseFloor", "Read"}

Reason(S, l) ==
  CASE l.a \notin Actions -> "there is no such action"
    [] l.a = "Claim" -> ClaimReason(S, l)
    [] l.a = "HearFence" -> HearFenceReason(S, l)
    [] l.a = "HearFreeze" -> HearFreezeReason(S, l)
    [] l.a = "Settle" -> SettleReason(S, l)
    [] l.a = "Copy" -> CopyReason(S, l)
    [] l.a = "Open" -> OpenReason(S, l)
    [] l.a = "Bury" -> BuryReason(S, l)
    [] l.a = "Put" -> PutReason(S, l)
    [] l.a = "Commit" -> CommitReason(S, l)
    [] l.a = "Accept" -> AcceptReason(S, l)
    [] l.a = "Store" -> StoreReason(S, l)
    [] l.a = "RaiseFence" -> RaiseFenceReason(S, l)
    [] l.a = "AnswerFence" -> AnswerFenceReason(S, l)
    [] l.a = "AnswerFreeze" -> AnswerFreezeReason(S, l)
    [] l.a = "Trim" -> TrimReason(S, l)
    [] l.a = "Lose" -> StatusReason(S, l)
    [] l.a = "Forget" -> ForgetReason(S, l)
    [] l.a = "Restart" -> RestartReason(S, l)
    [] l.a \in {"Retire", "Wipe"} -> NewNameReason(S, l)
    [] l.a = "RaiseFloor" -> RaiseFloorReason(S, l)
    [] l.a = "Read" -> ReadReason(S, l)
    [] OTHER -> ""      \* Stop, Abandon and Crash may always be

After(S, l) ==
  CASE l.a = "Claim" -> ClaimAfter(S, l)
    [] l.a = "HearFence" -> HearFenceAfter(S, l)
    [] l.a = "HearFreeze" -> HearFreezeAfter(S, l)
    [] l.a = "Settle" -> SettleAfter(S, l)
    [] l.a = "Copy" -> CopyAfter(S, l)
    [] l.a = "Open" -> Learnt(Registered(S, l), l)
    [] l.a = "Bury" -> [S EXCEPT !.deleted = TRUE]
    [] l.a = "Put" -> PutAfter(S, l)
    [] l.a = "Commit" -> [S EXCEPT !.committed[l.segment] = l.seq + 1]
    [] l.a = "Stop" -> [S EXCEPT !.stopped = @ \union {l.segment}]
    [] l.a = "Accept" -> AcceptAfter(S, l)
    [] l.a = "Store" -> StoreAfter(S, l)
    [] l.a = "RaiseFence" -> WithMachine(S, l.replica, [Running(S, l.replica) EXCEPT !.fence = l.epoch])
    [] l.a = "AnswerFence" -> AnswerFenceAfter(S, l)
    [] l.a = "AnswerFreeze" -> [S EXCEPT !.freezeSaid = @ \union {FreezeFact(S, l)}]
    [] l.a = "Trim" -> WithMachine(S, l.replica, Trimmed(Running(S, l.replica), l.floor))
    [] l.a = "Lose" -> LoseAfter(S, l)
    [] l.a = "Forget" -> ForgetAfter(S, l)
    [] l.a = "Crash" -> WithMachine(S, l.replica, [Machine(S, l.replica) EXCEPT !.status = "down"])
    [] l.a = "Restart" -> RestartAfter(S, l)
    [] l.a = "Retire" -> RetireAfter(S, l)
    [] l.a = "Wipe" -> WipeAfter(S, l)
    [] l.a = "RaiseFloor" -> [S EXCEPT !.floor = Max(@, l.floor)]
    [] OTHER -> S       \* Abandon and Read change nothing
=============================================================================
