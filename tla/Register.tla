------------------------------ MODULE Register ------------------------------
(***************************************************************************)
(* The register and its clients (DESIGN 3.1): recoveries that claim, open  *)
(* and then plan a boundary, and trims that raise the floor, all on one    *)
(* record.                                                                 *)
(*                                                                         *)
(* A change that was asked for may take place at any later time, while the *)
(* record that it compared is there, and again if a power cut undid it. Of *)
(* an answer that does not come, or says "conflict", a client learns       *)
(* nothing but that it has to read. A change is visible before it is       *)
(* durable; a power cut brings back what was durable.                      *)
(*                                                                         *)
(* `applied` is no part of the record: it counts which changes are in it,  *)
(* so that one that is overwritten shows.                                  *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets, TLC

CONSTANTS
  Opener,     \* clients that claim, open, plan
  Trimmer,    \* clients that raise the floor by one above the one they first read
  FloorMax,
  EpochMax,   \* nobody claims beyond it
  CutMax,     \* power cuts
  Plans,      \* whether a writer plans a boundary
  Bug

Client == Opener \cup Trimmer
StepsOf(c) == IF c \in Trimmer THEN <<"floor">> ELSE IF Plans THEN <<"claim", "open", "plan">> ELSE <<"claim", "open">>
Nobody == "nobody"
Unsealed == <<Nobody, "open">>

VARIABLES
  now,      \* the record as a reader sees it
  disk,     \* the record as a power cut leaves it
  asked,    \* every change asked for so far: what it compares, what it puts
  client,   \* client -> its step, what it read, the change it waits for
  cuts

vars == <<now, disk, asked, client, cuts>>

Content(record) == [record EXCEPT !.applied = 0]
NoChange == [compares |-> Nobody]

Init ==
  /\ now = [epoch |-> 1, owner |-> Nobody, floor |-> 0, chain |-> <<[id |-> <<Nobody, 0>>, seal |-> Unsealed]>>,
            applied |-> [c \in Client |-> [s \in {"claim", "open", "plan", "floor"} |-> 0]]]
  /\ disk = now
  /\ asked = {}
  /\ client = [c \in Client |-> [step |-> 1, phase |-> "read", rec |-> NoChange, epoch |-> 0, target |-> 0,
                                 change |-> NoChange]]
  /\ cuts = 0

StepOf(c) == StepsOf(c)[client[c].step]

(* The record with the client's change made, computed from a record that was read. *)
Made(c, rec) ==
  LET marked == [rec EXCEPT !.applied[c][StepOf(c)] = @ + 1]
      last == Len(rec.chain)
      grown(seal, id) == Append([rec.chain EXCEPT ![last].seal = seal], [id |-> id, seal |-> Unsealed])
  IN CASE StepOf(c) = "claim" -> [marked EXCEPT !.epoch = @ + 1, !.owner = c]
       [] StepOf(c) = "open" -> [marked EXCEPT !.chain = grown(<<c, "seal">>, <<c, 0>>)]
       [] StepOf(c) = "plan" -> [marked EXCEPT !.chain = grown(<<c, "boundary">>, <<c, 1>>)]
       [] StepOf(c) = "floor" -> [marked EXCEPT !.floor = client[c].target]

(* Whether a record holds the change, by the change's own content. *)
Holds(c, rec) ==
  CASE StepOf(c) = "claim" -> rec.owner = c
    [] StepOf(c) = "open" -> IF Bug = "BelievedByOwner" THEN rec.owner = c
                             ELSE \E i \in DOMAIN rec.chain : rec.chain[i].id = <<c, 0>>
    [] StepOf(c) = "plan" -> IF Bug = "BelievedByOwner" THEN rec.owner = c
                             ELSE \E i \in DOMAIN rec.chain : rec.chain[i].id = <<c, 1>>
    [] StepOf(c) = "floor" -> rec.floor >= client[c].target

Mine(c, rec) == StepOf(c) \in {"claim", "floor"} \/ (rec.owner = c /\ rec.epoch = client[c].epoch)

-----------------------------------------------------------------------------
(* Clients. *)

\* A read makes durable what it returns, before it is believed.
ReadRecord(c) ==
  /\ client[c].phase = "read"
  /\ disk' = IF Bug = "ReadBeforeDurable" THEN disk ELSE now
  /\ client' = [client EXCEPT ![c].phase = "knows", ![c].rec = now,
                              ![c].target = IF c \in Trimmer /\ @ = 0 THEN now.floor + 1 ELSE @]
  /\ UNCHANGED <<now, asked, cuts>>

InDoubt(c) == client[c].change # NoChange

(* The change is asked for: the first time; or the very same one once more, if the record that it compared is still there;
   or, if that is gone and the change is not in the record, anew on the record as it is now. *)
Ask(c) ==
  LET rec == client[c].rec
      same == InDoubt(c) /\ client[c].change.compares = Content(rec)
      made == IF InDoubt(c) /\ Bug = "StaleRedo" THEN client[c].change.puts ELSE Made(c, rec)
      change == IF same /\ Bug # "BlindRetry" THEN client[c].change
                ELSE [compares |-> Content(rec), puts |-> made]
  IN
  /\ client[c].phase = "knows"
  /\ Mine(c, rec)
  /\ InDoubt(c) => ~Holds(c, rec) \/ Bug = "BlindRetry"
  /\ ~InDoubt(c) /\ c \in Trimmer => ~Holds(c, rec)
  /\ StepOf(c) = "floor" => client[c].target <= FloorMax
  /\ StepOf(c) = "claim" => rec.epoch < EpochMax
  /\ asked' = asked \cup {change}
  /\ client' = [client EXCEPT ![c].phase = "waits", ![c].rec = NoChange, ![c].change = change]
  /\ UNCHANGED <<now, disk, cuts>>

\* No answer, or "conflict": a change sent twice may well have conflicted with itself.
Doubt(c) ==
  /\ client[c].phase = "waits"
  /\ client' = [client EXCEPT ![c].phase = "read"]
  /\ UNCHANGED <<now, disk, asked, cuts>>

\* What it hears or reads tells that its step is done.
Learnt(c, step) ==
  /\ StepOf(c) = step
  /\ \/ client[c].phase = "waits" /\ disk.applied[c][step] > 0                    \* the answer; it comes when durable
     \/ client[c].phase = "knows" /\ (InDoubt(c) \/ step = "floor") /\ Holds(c, client[c].rec)
        /\ (Mine(c, client[c].rec) \/ Bug = "BelievedByOwner")
  /\ client' = [client EXCEPT ![c] =
       [@ EXCEPT !.phase = IF client[c].step = Len(StepsOf(c)) THEN "done" ELSE "read",
                 !.step = IF @ = Len(StepsOf(c)) THEN @ ELSE @ + 1,
                 !.epoch = IF step = "claim" THEN
                             IF client[c].phase = "waits" THEN client[c].change.puts.epoch ELSE client[c].rec.epoch
                           ELSE @,
                 !.rec = NoChange, !.change = NoChange]]
  /\ UNCHANGED <<now, disk, asked, cuts>>

Claim(c) == c \in Opener /\ Learnt(c, "claim")
Open(c) == c \in Opener /\ Learnt(c, "open")
Cross(c) == c \in Opener /\ Learnt(c, "plan")
RaiseFloor(c) == c \in Trimmer /\ Learnt(c, "floor")

(* It reports that its change did not take place: somebody else is the owner now, so whatever it asked for compares a record
   that is gone for ever. *)
Stop(c) ==
  /\ \/ client[c].phase = "knows" /\ ~Mine(c, client[c].rec) /\ ~Holds(c, client[c].rec)
     \/ Bug = "NoAnswerIsNo" /\ client[c].phase = "waits"
  /\ client' = [client EXCEPT ![c].phase = "not done"]
  /\ UNCHANGED <<now, disk, asked, cuts>>

-----------------------------------------------------------------------------
(* The register. *)

Matches(change) ==
  IF Bug = "EpochAlone" THEN now.epoch = change.compares.epoch ELSE Content(now) = change.compares

\* What the change puts, with the count of what is in the record. A whole record is compared, so nothing is lost.
Apply ==
  /\ \E change \in asked : Matches(change) /\ now' = change.puts /\ now' # now
  \* Without power cuts there is no difference, and what compares a record that is gone for ever may be dropped.
  /\ disk' = IF CutMax = 0 THEN now' ELSE disk
  /\ asked' = IF CutMax = 0 /\ Bug # "EpochAlone" THEN {a \in asked : a.compares = Content(now')} ELSE asked
  /\ UNCHANGED <<client, cuts>>

Sync ==
  /\ disk # now /\ disk' = now
  /\ UNCHANGED <<now, asked, client, cuts>>

PowerCut ==
  /\ cuts < CutMax /\ now # disk
  /\ now' = disk /\ cuts' = cuts + 1
  /\ UNCHANGED <<disk, asked, client>>

Next ==
  \/ \E c \in Client : ReadRecord(c) \/ Ask(c) \/ Doubt(c) \/ Claim(c) \/ Open(c) \/ Cross(c) \/ RaiseFloor(c) \/ Stop(c)
  \/ Apply \/ Sync \/ PowerCut

Actions == {"ReadRecord", "Ask", "Doubt", "Claim", "Open", "Cross", "RaiseFloor", "Stop", "Apply", "Sync", "PowerCut"}

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
Symmetric == {o @@ t : o \in Permutations(Opener), t \in Permutations(Trimmer)}

Finished(c, k) == k < client[c].step \/ client[c].phase = "done"

(* A claim is the exception: one that took place unheard and was then superseded by another client's leaves no trace in the
   record, so it is made again. Nothing was done under the epoch that nobody learnt of. *)
EveryChangeReportedDoneTookPlaceOnce ==
  \A c \in Opener : \A k \in DOMAIN StepsOf(c) : Finished(c, k) =>
    disk.applied[c][StepsOf(c)[k]] \in (IF StepsOf(c)[k] = "claim" THEN 1 .. EpochMax ELSE {1})
FloorReportedIsOnRecord == \A c \in Trimmer : client[c].phase = "done" => disk.floor >= client[c].target
NoChangeTwice == \A c \in Opener : now.applied[c]["open"] <= 1 /\ now.applied[c]["plan"] <= 1
NoChangeReportedAsNotDoneTakesPlace ==
  \A c \in Opener : client[c].phase = "not done" => now.applied[c][StepOf(c)] = 0
OneSegmentPerName ==
  \A i, j \in DOMAIN now.chain : i # j => now.chain[i].id # now.chain[j].id

FloorsAndEpochsOnlyRise == [][disk'.floor >= disk.floor /\ disk'.epoch >= disk.epoch]_vars
ASealIsDecidedOnce ==
  [][\A i \in DOMAIN disk.chain :
       /\ i \in DOMAIN disk'.chain /\ disk'.chain[i].id = disk.chain[i].id
       /\ disk.chain[i].seal # Unsealed => disk'.chain[i].seal = disk.chain[i].seal]_vars
=============================================================================
