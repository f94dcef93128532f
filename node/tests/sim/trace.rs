//! The actions of the machines, in the order in which they happened: the hook for checking a run against the specification.
//! Nothing is collected yet: the machines do not emit them.

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Trace {}
