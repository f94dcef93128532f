//! The list of names. `protocol/tests/actions` holds it against the specification's.

use super::Step;

/// Who notes an action when it happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotedBy {
    /// A machine of this crate.
    Machine,
    /// Whoever drives the machines: nobody inside one can see it.
    Driver,
    /// Nobody: the specification splits what code does in one step, or lets the world do it.
    Nobody,
    /// Nobody yet: the specification covers what is not built.
    NotBuilt,
}

/// An action of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionName {
    /// Its name, in the code and in `tla/`.
    pub name: &'static str,
    /// Who notes it.
    pub noted_by: NotedBy,
}

const fn machine(name: &'static str) -> ActionName {
    ActionName { name, noted_by: NotedBy::Machine }
}

const fn driver(name: &'static str) -> ActionName {
    ActionName { name, noted_by: NotedBy::Driver }
}

const fn unlogged(name: &'static str) -> ActionName {
    ActionName { name, noted_by: NotedBy::Nobody }
}

const fn not_built(name: &'static str) -> ActionName {
    ActionName { name, noted_by: NotedBy::NotBuilt }
}

/// Every action that the code or the specification knows.
pub const ACTION_NAMES: &[ActionName] = &[
    machine("Claim"),
    machine("HearFence"),
    machine("HearFreeze"),
    machine("Settle"),
    machine("Copy"),
    machine("Open"),
    machine("Bury"),
    machine("Abandon"),
    machine("Put"),
    machine("Commit"),
    machine("Stop"),
    machine("Accept"),
    machine("Store"),
    machine("RaiseFence"),
    machine("AnswerFence"),
    machine("AnswerFreeze"),
    machine("Trim"),
    machine("Forget"),
    machine("Lose"),
    machine("Restart"),
    machine("RaiseFloor"),
    machine("Read"),
    driver("Crash"),
    driver("Retire"),
    driver("Wipe"),
    // Steps of the specification that leave no line: the register's own, and what a client only makes of what it heard.
    unlogged("ReadAgain"),
    unlogged("Reread"),
    unlogged("TakeBack"),
    unlogged("ReadRecord"),
    unlogged("Ask"),
    unlogged("Apply"),
    unlogged("Doubt"),
    unlogged("Redo"),
    unlogged("Sync"),
    unlogged("PowerCut"),
    unlogged("Create"),
    unlogged("Part"),
    unlogged("Return"),
    // Buckets: traces are of nodes.
    unlogged("Mark"),
    unlogged("Slot"),
    unlogged("Probe"),
    // Rotation and replacement: the specification that traces are held against has none, so traced runs do not rotate.
    unlogged("Plan"),
    unlogged("Cross"),
    unlogged("SealBehind"),
    unlogged("Replace"),
    unlogged("Move"),
    not_built("ChangeSet"),
    // Repair, and copies that nobody needs: not part of the specification that traces are held against, either.
    unlogged("CopySealed"),
    unlogged("SwapHolders"),
    unlogged("Free"),
    unlogged("Look"),
    // The leaving mark, which a word that is the record's number makes needless (`tla/MODULES.md`, finding 1).
    not_built("Leave"),
    not_built("LookAgain"),
    not_built("Stay"),
    not_built("DeclareLost"),
    not_built("ForgetLost"),
];

impl Step {
    /// The action's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Claim { .. } => "Claim",
            Self::HearFence { .. } => "HearFence",
            Self::HearFreeze { .. } => "HearFreeze",
            Self::Settle { .. } => "Settle",
            Self::Copy { .. } => "Copy",
            Self::Open { .. } => "Open",
            Self::Bury { .. } => "Bury",
            Self::Abandon { .. } => "Abandon",
            Self::Put { .. } => "Put",
            Self::Commit { .. } => "Commit",
            Self::Stop { .. } => "Stop",
            Self::Accept { .. } => "Accept",
            Self::Store { .. } => "Store",
            Self::RaiseFence { .. } => "RaiseFence",
            Self::AnswerFence { .. } => "AnswerFence",
            Self::AnswerFreeze { .. } => "AnswerFreeze",
            Self::Trim { .. } => "Trim",
            Self::Forget { .. } => "Forget",
            Self::Lose { .. } => "Lose",
            Self::RaiseFloor { .. } => "RaiseFloor",
            Self::Read { .. } => "Read",
            Self::Crash { .. } => "Crash",
            Self::Restart { .. } => "Restart",
            Self::Retire { .. } => "Retire",
            Self::Wipe { .. } => "Wipe",
        }
    }
}
