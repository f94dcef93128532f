------------------------------ MODULE TraceOne ------------------------------
(* The trace in TraceData.tla: see `tla/run trace`. *)
EXTENDS TraceCheck, TraceData

OneTrace == <<[name |-> "trace", window |-> Window, lines |-> Trace]>>
=============================================================================
