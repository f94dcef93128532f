//! Where the node meets the world: the glommio executors, the disk, the network. Nothing outside this module names
//! glommio, so that it can be replaced in days; and nothing but what needs it is here.
//!
//! ```text
//!  accept ─► connection ─ receive ─► slots         owner: one loop per shard
//!                 ▲          │ Event::Put            turn: events ─► shard.handle ─► effects
//!                 │          └──────────► world ───► │  Write ─► gather ─► disk ─► Event::Written
//!              output ◄──────────────────────────────┘  Stored, Send ─► output, one send per connection and turn
//! ```

mod ahead;
mod connection;
mod cpus;
mod disk;
mod executor;
mod file_system;
mod mailbox;
mod output;
mod owner;
pub mod preflight;
pub(crate) mod prepare;
mod probe;
mod reads;
mod receive;
pub(crate) mod replay;
mod serve;
mod slots;
mod timing;
mod world;

pub(crate) use cpus::allowed as allowed_cpus;
pub(crate) use executor::{Progress, ShardStart, ShardThread};
pub(crate) use file_system::{file_system_id, free_bytes};
pub(crate) use mailbox::{Letter, Mailbox, MailboxError};
