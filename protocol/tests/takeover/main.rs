//! Takeovers of one log in a simulated world: the production machines of writer, recovery and replica, joined by a
//! network, a register and disks that fail. See `world` for the fault model.

mod races;
mod random;
mod world;
