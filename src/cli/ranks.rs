//! The processes that `mpirun` starts, of which this one may be one.

use lisa::engine::DeviceSpec;
use lisa::train::{Alone, Communicator};

/// What launchers set in the environment of the processes they start: how many there are. Open MPI's, and that of MPICH and its kin.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];

/// Joins the other processes if `mpirun` has started this one among several, or is alone. On a machine with several GPUs each process
/// takes one of its own, from the first that `device` names on. To be called before there are other threads.
///
/// # Errors
/// Several processes of a program that was built without MPI, each of which would take itself for the only one.
pub fn join(device: &mut DeviceSpec) -> anyhow::Result<Box<dyn Communicator>> {
    let size = SIZES.iter().find_map(|name| std::env::var(name).ok());
    match size.and_then(|size| size.parse::<usize>().ok()) {
        None | Some(0 | 1) => Ok(Box::new(Alone)),
        Some(size) => several(size, device),
    }
}

#[cfg(feature = "mpi")]
fn several(_: usize, device: &mut DeviceSpec) -> anyhow::Result<Box<dyn Communicator>> {
    let ranks = lisa::train::Mpi::join()?;
    *device = match *device {
        DeviceSpec::Cuda(first) => DeviceSpec::Cuda(first + ranks.local_rank()),
        // Every process would take the first GPU.
        DeviceSpec::Auto if !DeviceSpec::Auto.open()?.is_cpu() => {
            DeviceSpec::Cuda(ranks.local_rank())
        }
        other => other,
    };
    Ok(Box::new(ranks))
}

#[cfg(not(feature = "mpi"))]
fn several(size: usize, _: &mut DeviceSpec) -> anyhow::Result<Box<dyn Communicator>> {
    anyhow::bail!(
        "mpirun has started {size} processes, and this lisa cannot train with others; accepted: one built with `cargo build --release --features mpi`"
    )
}
