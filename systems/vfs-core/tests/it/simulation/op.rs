//! What happens in a simulated world, and the list of it that a seed makes.

use super::lie::Lie;
use super::random::Random;

/// Devices of a world: two of alice, one of bob.
pub(crate) const DEVICES: usize = 3;

/// Items of each user.
pub(crate) const ITEMS: usize = 3;

/// One thing that happens. A world is a list of these and a seed for the network's delays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// Time passes, and with it whatever is under way.
    Wait {
        /// Milliseconds.
        milliseconds: i64,
    },
    /// A user writes: a link or a grant, given or taken away, on an own item or, to be rejected, on another's.
    Queue {
        /// On which device.
        device: usize,
        /// About which item of the user.
        item: usize,
        /// Which of four kinds of operation.
        kind: u8,
        /// Whether the item is another's.
        is_foreign: bool,
    },
    /// A device pushes what waits and reads.
    Flush {
        /// Which.
        device: usize,
    },
    /// A device reads.
    Sync {
        /// Which.
        device: usize,
    },
    /// What the network does to the device's next exchange.
    Network {
        /// Whose.
        device: usize,
        /// What.
        fault: NetworkFault,
    },
    /// A device dies at the next time that it would keep its state, and starts from what it kept.
    Crash {
        /// Which.
        device: usize,
        /// Whether the state was kept first.
        after_keeping: bool,
    },
    /// The device's disk is full at the next time that it would keep its state: it stops, and starts from what it kept.
    DiskFull {
        /// Which.
        device: usize,
    },
    /// Somebody takes a device back to an old export.
    TakeUpOld {
        /// Which.
        device: usize,
        /// How many exports back.
        back: usize,
    },
    /// Somebody gives a device a corrupted export first, then the right one.
    TakeUpCorrupted {
        /// Which.
        device: usize,
        /// What is wrong with it.
        fault: u8,
    },
    /// The server dies in its next write.
    ServerCrash {
        /// Whether it was committed, so that only the answer is lost.
        after_commit: bool,
    },
    /// The clock of a device is set.
    ClockJump {
        /// Which.
        device: usize,
        /// By milliseconds, forward or back.
        by: i64,
    },
    /// The clock of the server is set.
    ServerClockJump {
        /// By milliseconds, forward or back.
        by: i64,
    },
    /// The way to the server lies in the device's next exchange of the lie's kind. It flushes, if it does nothing else.
    Lie {
        /// To which device.
        device: usize,
        /// What.
        lie: Lie,
    },
    /// Alice shares an item with bob.
    Share {
        /// Which.
        item: usize,
    },
    /// Alice takes it away from bob, whatever bob's device is doing.
    Revoke {
        /// Which.
        item: usize,
    },
    /// The server forgets its oldest operations.
    Compact {
        /// How many, at most.
        rows: usize,
    },
    /// The server's state is copied.
    Backup,
    /// The server is set back to its last copy, in a new epoch: what came since is lost.
    Restore,
    /// A user decides on the rejected operations of a device.
    Resolve {
        /// Which.
        device: usize,
        /// Whether they are tried again; else they are undone.
        is_retry: bool,
    },
}

/// What the network does to one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NetworkFault {
    /// The request never arrives.
    LoseRequest,
    /// The answer never arrives.
    LoseReply,
    /// The request arrives twice.
    DoubleRequest,
    /// The answer arrives twice.
    DoubleReply,
    /// The answer comes after the device has given up.
    LateReply,
    /// The request comes after the device has given up: overtaken by later ones.
    LateRequest,
}

const NETWORK: [NetworkFault; 6] = [
    NetworkFault::LoseRequest,
    NetworkFault::LoseReply,
    NetworkFault::DoubleRequest,
    NetworkFault::DoubleReply,
    NetworkFault::LateReply,
    NetworkFault::LateRequest,
];

/// A day and some, in milliseconds.
const DAY: u64 = 90_000_000;

impl Op {
    /// The list that a seed makes.
    pub(crate) fn list(random: &mut Random) -> Vec<Self> {
        let count = 24 + random.below(24);
        (0..count).map(|_| Self::next(random)).collect()
    }

    fn next(random: &mut Random) -> Self {
        let device = random.below(DEVICES as u64) as usize;
        let item = random.below(ITEMS as u64) as usize;
        let by = random.below(2 * DAY) as i64 - DAY as i64;
        match random.below(100) {
            0..26 => {
                Self::Queue { device, item, kind: random.below(4) as u8, is_foreign: random.below(10) == 0 }
            }
            26..42 => Self::Flush { device },
            42..52 => Self::Sync { device },
            52..61 => Self::Wait { milliseconds: random.below(80) as i64 },
            62 => Self::Backup,
            63..65 => Self::Restore,
            65..72 => Self::Network { device, fault: *random.pick(&NETWORK) },
            72..75 => Self::Crash { device, after_keeping: random.below(2) == 0 },
            75..76 => Self::DiskFull { device },
            76..78 => Self::TakeUpOld { device, back: 1 + random.below(6) as usize },
            78..79 => Self::TakeUpCorrupted { device, fault: random.below(4) as u8 },
            79..81 => Self::ServerCrash { after_commit: random.below(2) == 0 },
            81..83 => Self::ClockJump { device, by },
            83..84 => Self::ServerClockJump { by },
            // One that few exchanges give an occasion for.
            84..86 => Self::Lie { device, lie: Lie::SnapshotLeadsBack },
            86..93 => Self::Lie { device, lie: *random.pick(Lie::ALL) },
            93..95 => Self::Share { item },
            95..97 => Self::Revoke { item },
            61 | 97 => Self::Compact { rows: 1 + random.below(24) as usize },
            _ => Self::Resolve { device, is_retry: random.below(2) == 0 },
        }
    }
}
