//! Seeds of random numbers for things that have names, so that what is drawn for one does not depend on the others.

/// The seed for the thing of that name, where `seed` is that of all. It is the same on every machine: the FNV-1a hash of the name is
/// mixed in.
pub(crate) fn seed_of(seed: u64, name: &str) -> u64 {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    seed ^ hash
}
