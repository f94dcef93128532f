//! Reads: verified, hedged, along the chain of segments (P15).
