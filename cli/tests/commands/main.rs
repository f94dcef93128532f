//! The `quarry` command as a user meets it: the built binary, its exit codes, what it prints and what it refuses. On loopback
//! only, with data beside the build. Every process that is started is ended by its own id.

mod bench_leaves;
mod bench_results;
mod benching;
mod dev;
mod doctor;
mod examples;
mod formatting;
mod logs;
mod moving;
mod pipes;
mod process;
mod registers;
mod running;
mod starting;
mod status;
mod usage;
mod verifying;
