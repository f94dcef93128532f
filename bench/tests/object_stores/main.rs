//! The bucket backends against real servers: moto and s3s-fs (S3), Azurite (Azure), and our own for S3 Express and Google
//! Cloud Storage, whose dialects no installable server speaks. `deploy/test-servers/install` installs those that are not crates.

mod bad_input;
mod conformance;
mod expiry;
mod faults;
mod own_process;
mod registers;
mod servers;
mod stores;
