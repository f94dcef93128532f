//! The bucket kind of replica: by hand, and in a simulated world of writers, recoveries and object stores.

mod cases;
mod holes;
mod random;
mod store;
mod world;
