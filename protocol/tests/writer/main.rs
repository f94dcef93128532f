//! The writer against a model of its replicas: in-order acknowledgements, the window, stragglers, fates.

mod cases;
mod model;
mod random;
