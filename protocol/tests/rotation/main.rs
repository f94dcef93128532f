//! The rotating writer, event by event (P10, P11).

mod boundary;
mod moving;
mod replacing;
mod script;
mod stopping;
