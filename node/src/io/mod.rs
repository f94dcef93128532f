//! Where the node meets the world: the glommio executors, the disk, the network. Nothing outside this module names
//! glommio, so that it can be replaced in days; and nothing but what needs it is here.

pub mod preflight;
pub mod prepare;
