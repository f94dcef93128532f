------------------------------- MODULE Repair -------------------------------
(***************************************************************************)
(* Repair of sealed segments (P16), freeing of copies that no record names *)
(* (P13), and deletion (P13). One log with one sealed segment; a replica's *)
(* copy of it is one thing, good or not. Its open segments are left out:   *)
(* a takeover is what raises the epoch in the record.                      *)
(*                                                                         *)
(* A client acts on the record as it read it, however long ago, and may    *)
(* vanish after any step: its next step then just never comes. A swap that *)
(* it asked for may take place at any time while the record is the same.   *)
(*                                                                         *)
(* A node is told a client's word, which names what the client read; it    *)
(* keeps the highest and refuses lower ones (P13). Words: "epoch" is the   *)
(* letter of P13, "change" what was found to be needed; see README.        *)
(***************************************************************************)
EXTENDS Integers, FiniteSets, TLC

CONSTANTS
  Holder,      \* the replicas on record at first, each with a good copy
  Spare,       \* others
  Client,      \* clients that repair and free
  Words,       \* "change" or "epoch"
  FaultMax,    \* losses injected: corruption, wiped and retired disks, declarations
  AwayMax,     \* how many replicas may be out of reach at once; not a loss
  ClaimMax, SwapMax,        \* how many takeovers and repairs may change the record
  OpenFirst,                \* the segment is not sealed at first, and one replica lacks it
  Trims, Deletes, Frees,    \* whether trim, deletion, freeing take part
  Bug

Replica == Holder \cup Spare

VARIABLES
  reg,      \* the record: change, epoch, log, state of the segment, holders, lost, floor
  copy,     \* replica -> its copy: none, good, bad (it answers unknown)
  leaving,  \* replicas that marked their copy as leaving (they answer unknown)
  word,     \* replica -> the highest word it was told
  gone,     \* replicas whose identity is no more: wiped, retired
  forgot,   \* replicas on which the log's deletion is durable
  away,     \* replicas out of reach
  client,   \* client -> the record as it read it, and what it is about to do
  count     \* bounds: losses injected, swaps done

vars == <<reg, copy, leaving, word, gone, forgot, away, client, count>>
node == <<copy, leaving, word, gone, forgot, away>>

Idle == [phase |-> "idle"]

Init ==
  /\ reg = [change |-> 1, epoch |-> 1, log |-> 1, state |-> IF OpenFirst THEN "open" ELSE "sealed", holders |-> Holder, lost |-> {}, floor |-> 0]
  /\ \E lacking \in IF OpenFirst THEN Holder ELSE {{}} :
       copy = [r \in Replica |-> IF r \in Spare \/ (OpenFirst /\ r = lacking) THEN "none" ELSE "good"]
  /\ leaving = {} /\ gone = {} /\ forgot = {} /\ away = {}
  /\ word = [r \in Replica |-> 1]
  /\ client = [c \in Client |-> Idle]
  /\ count = [losses |-> 0, swaps |-> 0]

Changed(record) == [record EXCEPT !.change = @ + 1]
WordOf(record) == IF Words = "epoch" THEN record.epoch ELSE record.change
Names(record, r) == record.state = "sealed" /\ r \in record.holders

\* Replicas that can be told something now.
There == (Replica \ gone) \ away
Answers(r) == IF r \in There /\ r \notin leaving THEN copy[r] ELSE "unknown"

-----------------------------------------------------------------------------
(* Repair. *)

Look(c) ==
  /\ client[c].phase \in {"idle", "looked", "checked"}
  /\ client[c].phase # "idle" => client[c].rec # reg
  /\ client' = [client EXCEPT ![c] = [phase |-> "looked", rec |-> reg]]
  /\ UNCHANGED <<reg, node, count>>

(* Copies the segment from a replica to another one, verified against the seal's digest; a replica that has a good copy
   already (it came back) only says so. The word that comes with it is the one of the record that will name the replica: a
   word that is older frees nothing from then on. `from` is the holder that is replaced, one that did not answer "have"; a
   holder may get its own copy anew, and a place that a declaration emptied is filled. *)
CopySealed(c, to, from) ==
  LET rec == client[c].rec
      pin == IF Words = "epoch" THEN WordOf(rec) ELSE WordOf(rec) + 1
      \* Nothing says yet what an open segment holds, so a copy of what one replica has is as good as it gets.
      source == IF reg.state = "open" THEN {r \in There : copy[r] = "none" /\ r \in reg.holders}
                ELSE IF Bug = "Unverified" THEN {r \in There : copy[r] # "none"} ELSE {r \in Replica : Answers(r) = "good"}
  IN
  /\ client[c].phase = "looked"
  /\ rec.state \in (IF Bug = "Unsealed" THEN {"sealed", "open"} ELSE {"sealed"})
  /\ to \in There
  /\ IF to \in rec.holders THEN from = to /\ copy[to] # "good"
     ELSE \/ (from \in rec.holders /\ Answers(from) # "good")
          \/ (from = to /\ Cardinality(rec.holders) < Cardinality(Holder))
  /\ to \notin forgot \/ Bug = "DeletionForgotten"
  /\ IF Bug = "SwapFirst" THEN UNCHANGED <<copy, word, leaving>>
     ELSE
     /\ pin >= word[to]
     /\ word' = [word EXCEPT ![to] = pin]
     /\ leaving' = leaving \ {to}
     /\ \E r \in source :
          copy' = [copy EXCEPT ![to] = IF @ = "good" THEN "good" ELSE copy[r]]
  /\ client' = [client EXCEPT ![c] = IF to \in rec.holders THEN Idle
                                     ELSE [phase |-> "copied", rec |-> rec, to |-> to, from |-> from]]
  /\ UNCHANGED <<reg, gone, forgot, away, count>>

\* The whole record, as read (DESIGN 3.1).
IsSame(rec) ==
  CASE Bug = "EpochAlone" -> reg.epoch = rec.epoch /\ reg.log = rec.log
    [] Bug = "VersionIsContent" -> [reg EXCEPT !.change = 0] = [rec EXCEPT !.change = 0]
    [] OTHER -> reg = rec

SwapHolders(c) ==
  LET rec == client[c].rec
      holders == (rec.holders \ {client[c].from}) \cup {client[c].to}
  IN
  /\ client[c].phase = "copied" /\ count.swaps < SwapMax
  /\ IsSame(rec)
  /\ reg' = [rec EXCEPT !.holders = holders, !.change = reg.change + 1]
  /\ count' = [count EXCEPT !.swaps = @ + 1]
  /\ client' = [client EXCEPT ![c] = Idle]
  /\ UNCHANGED node

\* The record is another one by now: begin again.
Redo(c) ==
  /\ client[c].phase = "copied" /\ ~IsSame(client[c].rec) /\ Bug # "NeverRedone"
  /\ client' = [client EXCEPT ![c] = Idle]
  /\ UNCHANGED <<reg, node, count>>

\* Whoever read that a record names a replica tells it so: it stays. This is also how holders are verified again (P16).
Stay(c, r) ==
  /\ client[c].phase \in {"looked", "left"} /\ (client[c].phase = "left" => client[c].r = r)
  /\ LET rec == IF client[c].phase = "left" THEN reg ELSE client[c].rec
     IN /\ Names(rec, r) /\ r \in There /\ r \in leaving /\ WordOf(rec) >= word[r]
        /\ word' = [word EXCEPT ![r] = WordOf(rec)]
  /\ leaving' = leaving \ {r}
  /\ client' = [client EXCEPT ![c] = Idle]
  /\ UNCHANGED <<reg, copy, gone, forgot, away, count>>

(* A segment without a good copy stays on record: somebody may come back with one. *)
ForgetLost(c) ==
  /\ Bug = "LostForgotten"
  /\ client[c].phase = "looked" /\ client[c].rec = reg /\ reg.state = "sealed"
  /\ \A r \in Replica : Answers(r) # "good"
  /\ reg' = [Changed(reg) EXCEPT !.state = "dropped"]
  /\ UNCHANGED <<node, client, count>>

-----------------------------------------------------------------------------
(* Freeing copies that no record names (P13). *)

\* What a client takes for a record that does not name the replica.
Unnamed(rec, r) == (~Names(rec, r) /\ rec.state # "open") \/ Bug = "FreeOnAbsent"

Leave(c, r) ==
  /\ Frees /\ client[c].phase = "looked" /\ Unnamed(client[c].rec, r)
  /\ r \in There /\ copy[r] # "none"
  /\ WordOf(client[c].rec) >= word[r] \/ Bug = "StaleWord"
  /\ IF Bug = "FreeUnmarked" THEN UNCHANGED <<leaving, word>>
     ELSE leaving' = leaving \cup {r} /\ word' = [word EXCEPT ![r] = WordOf(client[c].rec)]
  /\ client' = [client EXCEPT ![c] = [phase |-> IF Bug \in {"FreeUnmarked", "NotReadAgain"} THEN "checked" ELSE "left",
                                      rec |-> client[c].rec, r |-> r]]
  /\ UNCHANGED <<reg, copy, gone, forgot, away, count>>

\* The record is read again. The variant: and every holder on record has to answer "have".
LookAgain(c) ==
  /\ client[c].phase = "left" /\ Unnamed(reg, client[c].r)
  /\ Bug = "HoldersFirst" => \A r \in reg.holders : Answers(r) = "good"
  /\ client' = [client EXCEPT ![c].phase = "checked", ![c].rec = reg]
  /\ UNCHANGED <<reg, node, count>>

Free(c, r) ==
  /\ client[c].phase = "checked" /\ client[c].r = r
  /\ r \in There /\ (r \in leaving \/ Bug = "FreeUnmarked")
  /\ WordOf(client[c].rec) >= word[r] \/ Bug = "StaleWord"
  /\ copy' = [copy EXCEPT ![r] = "none"]
  /\ leaving' = leaving \ {r}
  /\ word' = [word EXCEPT ![r] = IF Bug = "StaleWord" THEN @ ELSE WordOf(client[c].rec)]
  /\ client' = [client EXCEPT ![c] = Idle]
  /\ UNCHANGED <<reg, gone, forgot, away, count>>

-----------------------------------------------------------------------------
(* What else changes the record. *)

Claim ==
  /\ reg.epoch <= ClaimMax /\ reg.state # "deleted" /\ reg.log = 1
  /\ reg' = [Changed(reg) EXCEPT !.epoch = @ + 1]
  /\ UNCHANGED <<node, client, count>>

(* A takeover seals the open segment: it keeps what any of Qr = 2 of 3 replicas has, else it ends the segment before it.
   (That a kept chunk is copied forward is Quarry.tla's and Rotation.tla's.) *)
Open ==
  /\ reg.state = "open"
  /\ \E heard \in SUBSET reg.holders :
       /\ Cardinality(heard) = 2 /\ \A r \in heard : Answers(r) \in {"good", "none"}
       /\ reg' = [Changed(reg) EXCEPT !.state = IF \E r \in heard : copy[r] = "good" THEN "sealed" ELSE "dropped",
                                      !.epoch = @ + 1]
  /\ UNCHANGED <<node, client, count>>

\* The segment is wholly below the floor: it leaves the record, then its data is dropped.
RaiseFloor ==
  /\ Trims /\ reg.state = "sealed" /\ reg.log = 1
  /\ reg' = [Changed(reg) EXCEPT !.state = "dropped", !.floor = 1]
  /\ UNCHANGED <<node, client, count>>

Bury ==
  /\ Deletes /\ reg.state # "deleted" /\ reg.log = 1
  /\ reg' = [Changed(reg) EXCEPT !.state = "deleted", !.epoch = @ + 1]
  /\ UNCHANGED <<node, client, count>>

\* A node learns of the tombstone; that is durable, and never taken back.
Forget(r) ==
  /\ reg.state = "deleted" \/ reg.log = 2
  /\ r \in There \ forgot
  /\ forgot' = forgot \cup {r}
  /\ copy' = [copy EXCEPT ![r] = "none"] /\ leaving' = leaving \ {r}
  /\ UNCHANGED <<reg, word, gone, away, client, count>>

\* The name is used again, for a log with a new id: nothing that is stored under the old one can belong to it.
Create ==
  /\ reg.state = "deleted"
  /\ reg' = [Changed(reg) EXCEPT !.log = 2, !.epoch = 1, !.state = "dropped", !.holders = {}, !.lost = {}]
  /\ UNCHANGED <<node, client, count>>

\* P16: an operator gives a replica up; the record keeps which.
DeclareLost(r) ==
  /\ reg.state = "sealed" /\ r \in reg.holders /\ Answers(r) # "good"
  /\ count.losses < FaultMax
  /\ reg' = [Changed(reg) EXCEPT !.holders = @ \ {r}, !.lost = @ \cup {r}]
  /\ count' = [count EXCEPT !.losses = @ + 1]
  /\ UNCHANGED <<node, client>>

-----------------------------------------------------------------------------
(* Faults. *)

Lose(r) ==
  /\ copy[r] = "good" /\ r \notin gone /\ count.losses < FaultMax
  /\ copy' = [copy EXCEPT ![r] = "bad"]
  /\ count' = [count EXCEPT !.losses = @ + 1]
  /\ UNCHANGED <<reg, leaving, word, gone, forgot, away, client>>

\* Wiped or retired: under this identity nobody answers again, nor takes anything.
Wipe(r) ==
  /\ r \notin gone /\ count.losses < FaultMax
  /\ gone' = gone \cup {r} /\ copy' = [copy EXCEPT ![r] = "none"] /\ leaving' = leaving \ {r} /\ away' = away \ {r}
  /\ count' = [count EXCEPT !.losses = @ + 1]
  /\ UNCHANGED <<reg, word, forgot, client>>

Part(r) ==
  /\ Cardinality(away) < AwayMax /\ r \notin away \cup gone
  /\ away' = away \cup {r}
  /\ UNCHANGED <<reg, copy, leaving, word, gone, forgot, client, count>>

Return(r) ==
  /\ r \in away
  /\ away' = away \ {r}
  /\ UNCHANGED <<reg, copy, leaving, word, gone, forgot, client, count>>

Next ==
  \/ \E c \in Client : Look(c) \/ SwapHolders(c) \/ Redo(c) \/ ForgetLost(c) \/ LookAgain(c)
  \/ \E c \in Client, r \in Replica : Stay(c, r) \/ Leave(c, r) \/ Free(c, r)
                                      \/ \E from \in Replica : CopySealed(c, r, from)
  \/ Claim \/ Open \/ RaiseFloor \/ Bury \/ Create
  \/ \E r \in Replica : Forget(r) \/ DeclareLost(r) \/ Lose(r) \/ Wipe(r) \/ Part(r) \/ Return(r)

Actions == {"Look", "CopySealed", "SwapHolders", "Redo", "Stay", "ForgetLost", "Leave", "LookAgain", "Free", "Claim", "Open",
            "RaiseFloor", "Bury", "Forget", "Create", "DeclareLost", "Lose", "Wipe", "Part", "Return"}

Spec == Init /\ [][Next]_vars

\* One client, nobody away for ever, losses come to an end by their bound.
FairSpec ==
  /\ Spec
  /\ \A c \in Client : WF_vars(Look(c)) /\ WF_vars(SwapHolders(c)) /\ WF_vars(Redo(c))
  /\ \A c \in Client : SF_vars(\E to, from \in Replica : CopySealed(c, to, from))
  /\ \A r \in Replica : WF_vars(Return(r))
RepairEnds == <>[](\A r \in reg.holders : copy[r] = "good")

-----------------------------------------------------------------------------
Symmetric == {h @@ s @@ c : h \in Permutations(Holder), s \in Permutations(Spare), c \in Permutations(Client)}

GoodOnRecord == {r \in reg.holders : copy[r] = "good"}
Live == reg.state = "sealed"

\* Every loss that was injected costs at most one copy; repair, freeing and their races cost none.
NeverFewerCopies == Live => Cardinality(GoodOnRecord) + count.losses >= Cardinality(Holder)

\* On record or not.
NeverFewerCopiesAnywhere ==
  Live => Cardinality({r \in Replica : copy[r] = "good"}) + count.losses >= Cardinality(Holder)
SomeCopyIsLeft == Live => \E r \in Replica : copy[r] = "good"

\* A replica on record has its copy, unless it was hurt itself.
NothingFreedThatTheRecordNames == Live => \A r \in reg.holders : copy[r] = "none" => r \in gone

NothingBadWithoutALoss == \* an unverified copy spreads damage
  Live => Cardinality({r \in reg.holders : copy[r] # "good"}) <= count.losses

LostIsNotForgotten == reg.state = "dropped" /\ reg.log = 1 => reg.floor = 1

NothingOfADeletedLogComesBack == \A r \in forgot : copy[r] = "none"
NoZombie == reg.state = "deleted" \/ (reg.floor = 1 /\ reg.log = 1) \/ reg.log = 2 => ~Live
=============================================================================
