//! The recovery machine, driven by hand: each rule and each pitfall by name. (`tests/takeover` drives it at random.)

mod boundary;
mod copies;
mod deadline;
mod full;
mod modes;
mod register;
mod script;
mod subsets;
mod walk;
