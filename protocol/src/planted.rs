//! Bugs on purpose: the proof that the checks can fail (pitfalls 39, 40).
//!
//! Only a build with `--cfg planted` contains them, and such a build needs debug assertions, so no release can. In every
//! other build [`planted!`](crate::planted!) is the constant `false` and this module holds nothing else. Which bug is in force is
//! chosen at run time, once, by whoever runs the check; it is the one piece of state in this crate that is not passed in
//! as an event, and it exists nowhere else.
//!
//! Each bug breaks one rule of DESIGN at the place that keeps it. Who finds it, and how soon, is listed by the simulator
//! (`node/tests/sim`) and by the node's tests on real files.

#[cfg(all(planted, not(debug_assertions)))]
compile_error!("--cfg planted puts bugs into the build: it needs debug assertions, so that no release can contain it");

/// Whether this bug is in force: `planted!(NoFence)`. Always `false` without `--cfg planted`.
#[macro_export]
macro_rules! planted {
    ($bug:ident) => {{
        #[cfg(planted)]
        {
            $crate::planted::is($crate::planted::Bug::$bug)
        }
        #[cfg(not(planted))]
        {
            false
        }
    }};
}

#[cfg(planted)]
pub use bugs::{Bug, is, plant};

#[cfg(planted)]
mod bugs {
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// 0: none; otherwise one more than the place in [`Bug::ALL`].
    static IN_FORCE: AtomicUsize = AtomicUsize::new(0);

    /// Puts a bug in force, or none, for the whole process.
    pub fn plant(bug: Option<Bug>) {
        let number = bug.and_then(|bug| Bug::ALL.iter().position(|known| *known == bug));
        IN_FORCE.store(number.map_or(0, |number| number + 1), Relaxed);
    }

    /// Whether `bug` is in force.
    pub fn is(bug: Bug) -> bool {
        match IN_FORCE.load(Relaxed) {
            0 => false,
            number => Bug::ALL[number - 1] == bug,
        }
    }

    macro_rules! bugs {
        ($($name:ident $rule:literal $what:literal,)*) => {
            /// A bug on purpose.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Bug {
                $(#[doc = $what] $name,)*
            }

            impl Bug {
                /// Every bug.
                pub const ALL: &'static [Self] = &[$(Self::$name,)*];

                /// Its name.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$name => stringify!($name),)* }
                }

                /// The rule of DESIGN that it breaks.
                pub const fn rule(self) -> &'static str {
                    match self { $(Self::$name => $rule,)* }
                }

                /// What it does.
                pub const fn what(self) -> &'static str {
                    match self { $(Self::$name => $what,)* }
                }

                /// The bug of this name.
                pub fn from_name(name: &str) -> Option<Self> {
                    Self::ALL.iter().copied().find(|bug| bug.name() == name)
                }
            }
        };
    }

    bugs! {
        // The protocol: writer, recovery, replica.
        ReuseSegmentName "P1" "A recovery that changes its plan uses the old plan's segment name again.",
        CommitBelowQuorum "P2" "A chunk is committed with one replica fewer than the ack quorum.",
        CommitOutOfOrder "P2" "A chunk that is on a quorum commits every chunk before it.",
        NoFence "P3" "A replica takes puts of epochs below its fence.",
        FenceAnsweredEarly "P3" "A fence is answered before the puts accepted before it are durable.",
        FenceForgottenWithFloor "P3" "The snapshot forgets a log's fence when its floor rises.",
        DuplicateStoredEarly "P4" "A retransmitted put is acknowledged while the first one is on its way.",
        AnyDiskAnswers "P4" "A request for another disk is answered as if it were for this one.",
        OpenWithoutTheSwap "P5" "An ambiguous swap counts as done.",
        WindowTooNarrow "P6" "Recovery believes in half the window that the writer was allowed.",
        WatermarkRunsAhead "P6" "Puts carry a watermark above what is committed.",
        WatermarkPerLog "P6" "A replica keeps one watermark for all segments of a log.",
        ClaimKeepsEpoch "P7" "A recovery claims the log without raising its epoch.",
        EndOnOneNegative "P7" "One replica that never had a seq ends the log.",
        NoCopyForward "P7" "Chunks that are not proven on an ack quorum are sealed where they are.",
        CopyWithoutQuorum "P7" "The swap is asked for before the copies are on an ack quorum.",
        SwapByEpochAndOwner "P7" "A swap counts as done because epoch and owner are still the same.",
        FloorNotReread "P12" "A conflict takes the new version with the old record: a floor moves back.",
        UnknownCountsAsNever "P8" "Unknown ends a log.",
        LossAnsweredNever "P8" "A lost chunk is answered as never had.",
        RetiredAnswersNever "P14" "A retired identity answers never instead of unknown.",
        HandedIsNeverStored "P9" "An append that was handed to a connection is called never stored when its writer stops.",
        PutBeyondPlan "P11" "Appends pass a boundary before it is known to be on record.",
        PlanForgotten "P11" "A boundary whose swap was not answered counts as not planned.",
        PlanByOwner "P11" "A boundary counts as planned because epoch and owner are still the same.",
        CommitPerSegment "P11" "What follows a boundary commits although not all before it is.",
        WatermarkWhileHeld "P11" "What follows a boundary carries a watermark although not all before it is committed.",
        StragglersUnbounded "P10" "Committed chunks are kept for a dead replica without bound.",
        StaleWordAccepted "P13" "A replica frees for a client whose record is older than one it was told of.",
        PinnedEarly "P13" "A word is confirmed before it is durable.",
        FreeOnAbsent "P13" "What no record speaks of is freed.",
        PinForgotten "P13" "A repair copies without pinning the number of the record that will name the copy.",
        RepairSwapsFirst "P16" "A repair names the new holder before it has the copies.",
        RepairUnverified "P16" "A repair copies without looking at the chain of digests.",
        RepairOfUnsealed "P1" "A repair copies into a segment that is not sealed.",
        RepairNeverRedone "P16" "A repair whose record was changed meanwhile hangs.",
        CopyIntoDeletedLog "P13" "A replica takes copies into a log that was deleted.",
        TrimConfirmedEarly "P12" "A replica confirms a floor before it is durable.",
        DeletedLogForgotten "P13" "A deletion forgets the log, and its fence with it.",
        TrimAboveTail "P12" "A floor is put on record above what is committed.",
        ReaderPastTheWatermark "P15" "A reader goes two chunks beyond the watermark.",
        TailOnOneReplica "P15" "A chunk seen on one replica counts as committed for readers.",
        // The store: one append path, batches, snapshots, files, space.
        ControlSkipsTheBatch "D1" "A control entry that shares a batch with chunks is confirmed but not written.",
        FileReadyUnsynced "D2" "A prepared file is used before it is synced and has its name.",
        DigestStartsOver "D3" "A writer chains its digest from nothing with every append.",
        ConfirmOutOfOrder "D4" "A batch is confirmed although one before it is not written yet.",
        MarksIgnored "D4" "Rot below a mark is taken for a torn write.",
        ReplayUnsynced "D5" "What a replay believed is not synced before it is answered.",
        SnapshotWithoutFences "D5" "Snapshots leave fences out.",
        WriteErrorForgiven "D6" "A failed write counts as written.",
        ShortWriteForgiven "D6" "A short write counts as whole.",
        LossesForgotten "D6" "Snapshots leave losses out.",
        FullForEver "D7" "A shard that was full once takes no puts again.",
        CopiesUnverified "D7" "Copying forward does not look at what it copies.",
        ScrubUnverified "D6" "Scrub does not look at what it reads.",
        ScrubFreesDamage "P13" "Scrub lets go of what it finds to be damaged.",
        // What touches real files and sockets: `node/tests/node/planted.rs`.
        WritesNotSynchronous "D2" "Chunk files are opened without O_DSYNC.",
        ArrivalsUnverified "D3" "A chunk's payload is not verified when it arrives.",
        ReadsUnverified "D6" "A chunk's payload is not verified when it is read.",
        MissingFileUnnoticed "D5" "A start does not ask which chunk files there were.",
        AnyBodySize "D8" "A frame's body may have any size.",
        CopyStarts "D9" "A copied directory starts.",
        SuperblockUnmended "D9" "A damaged copy of the superblock is left as it is.",
        FormattedTwice "D9" "A formatted directory is formatted again.",
        StartedTwice "D9" "A directory in use is started once more.",
    }
}
