----------------------------- MODULE TraceCheck -----------------------------
(***************************************************************************)
(* Is what the machines did allowed? A trace is one log's actions in the   *)
(* order of time. Each line is held against the state that the lines       *)
(* before it led to (TraceRules.tla), so that the state graph of a trace   *)
(* is one path.                                                            *)
(*                                                                         *)
(* Not every step leaves a line. A change of the register is logged when   *)
(* its client learns of it, which may be after the next client's claim, or *)
(* never: see Early and Unlearnt.                                          *)
(***************************************************************************)
EXTENDS TraceRules

CONSTANT Traces     \* a sequence of [name, window, lines]

VARIABLES
  trace,     \* which one
  next,      \* the next line
  state,     \* what the lines before it led to
  verdict    \* open, accepted, rejected

vars == <<trace, next, state, verdict>>

Lines == Traces[trace].lines

-----------------------------------------------------------------------------
(* Register changes that were not learnt in time. *)

\* Opens that must have taken effect before the claim in line k: afterwards their comparison would have failed.
Early(S, k) ==
  LET l == Lines[k] IN
  IF l.a # "Claim" \/ l.epoch <= S.epoch THEN {}
  ELSE {j \in k + 1 .. Len(Lines) : Lines[j].a = "Open" /\ Lines[j].epoch < l.epoch /\ j \notin S.early}

FirstEarly(S, k) == CHOOSE j \in Early(S, k) : \A i \in Early(S, k) : Lines[j].epoch <= Lines[i].epoch

\* An open that its client never learnt of: the next recovery settles the segment that it registered.
Unlearnt(S, l) ==
  /\ l.a \in {"HearFence", "AnswerFence"}
  /\ l.epoch \in DOMAIN S.recoveries
  /\ l.segment[1] \in DOMAIN S.recoveries /\ l.segment[1] < l.epoch
  /\ S.recoveries[l.epoch].phase = "settling"
  /\ S.recoveries[l.segment[1]].phase = "settled"
  /\ l.segment \notin DOMAIN S.born

\* Its line would have said these. Whoever is asked about it, or was sent copies, is a replica of it.
ReplicasAsked(g) ==
  {Lines[j].replica : j \in {i \in DOMAIN Lines : Lines[i].a \in {"HearFence", "Copy"} /\ Lines[i].segment = g}}
AckQuorumOfTrace ==
  LET opens == {j \in DOMAIN Lines : Lines[j].a = "Open"}
  IN IF opens = {} THEN 1 ELSE Lines[CHOOSE j \in opens : \A i \in opens : j <= i].ack_quorum
UnlearntOpen(S, g) ==
  LET R == S.recoveries[g[1]] IN
  [epoch |-> g[1], segment |-> g, base |-> R.cut, end |-> R.end, client |-> R.client, ack_quorum |-> AckQuorumOfTrace,
   replicas |-> [r \in ReplicasAsked(g) |-> r]]

-----------------------------------------------------------------------------
Reject(k, why) ==
  /\ verdict' = "rejected"
  /\ PrintT(<<"rejected", Traces[trace].name, k, why, Lines[k]>>)
  /\ UNCHANGED <<trace, next, state>>

Go(S, n) == state' = S /\ next' = n /\ UNCHANGED <<trace, verdict>>

(* An open whose line comes later takes effect now. *)
TakeEarly(j) ==
  LET why == OpenReason(state, Lines[j]) IN
  IF why # "" THEN Reject(j, why)
  ELSE Go([Registered(state, Lines[j]) EXCEPT !.early = @ \union {j}], next)

(* An open that never got a line takes effect now. *)
TakeUnlearnt(g) ==
  LET open == UnlearntOpen(state, g)
      why == OpenReason([state EXCEPT !.epoch = g[1]], open)
  IN IF why # "" THEN Reject(next, why)
     ELSE Go(SeenByLater(Registered(state, open), g[1]), next)

TakeLine(l) ==
  IF next \in state.early THEN Go(Learnt(state, l), next + 1)
  ELSE LET why == Reason(state, l)
       IN IF why # "" THEN Reject(next, why) ELSE Go(After(state, l), next + 1)

Finish ==
  /\ verdict' = "accepted"
  /\ PrintT(<<"accepted", Traces[trace].name, next - 1>>)
  /\ UNCHANGED <<trace, next, state>>

Init ==
  /\ trace \in DOMAIN Traces
  /\ next = 1 /\ state = Start(Traces[trace].window) /\ verdict = "open"

Next ==
  /\ verdict = "open"
  /\ IF next > Len(Lines) THEN Finish
     ELSE IF Early(state, next) # {} THEN TakeEarly(FirstEarly(state, next))
     ELSE IF Unlearnt(state, Lines[next]) THEN TakeUnlearnt(Lines[next].segment)
     ELSE TakeLine(Lines[next])

Spec == Init /\ [][Next]_vars
=============================================================================
