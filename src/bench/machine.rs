//! The yardsticks: how fast matrix products and copies go on this machine, and how much memory this process has held.

use std::hint::black_box;
use std::time::Instant;

use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use serde::Serialize;

use super::BenchError;

/// What the machine can do, by the best of several runs. On a CPU it belongs to the number of threads that the process uses.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Machine {
    /// Products of large matrices by candle, in 10⁹ additions and multiplications a second: of f32 on a CPU, on a GPU of the type that
    /// the network computes in.
    pub gemm_gflops: f64,
    /// Bytes read and written together while a buffer larger than any cache is copied, in 10⁹ a second, as STREAM counts them.
    pub copy_gbytes: f64,
}

/// Sides of the products, `(rows, inner, columns)`: a square one, and two of the shapes that SAM's layers have.
const PRODUCTS: [(usize, usize, usize); 3] =
    [(2048, 2048, 2048), (4096, 768, 3072), (4096, 3072, 768)];
/// On a GPU, which a small product does not fill.
const PRODUCTS_ON_GPU: [(usize, usize, usize); 2] = [(8192, 8192, 8192), (4096, 5120, 1280)];
/// Times that each is run. The first ones raise the processor's clock and touch the memory.
const RUNS: usize = 5;
/// Bytes that are copied; on a GPU four times as many.
const COPIED: usize = 256 << 20;

impl Machine {
    /// Measures both; takes some seconds, and half a gigabyte, on a GPU two. `dtype` is what products are measured in on a GPU.
    ///
    /// # Errors
    /// A product that failed, e.g. for memory.
    pub fn measure(device: &Device, dtype: DType) -> Result<Self, BenchError> {
        Ok(match device.is_cpu() {
            true => Self {
                gemm_gflops: products(&PRODUCTS, device, DType::F32)?,
                copy_gbytes: copies(),
            },
            false => Self {
                gemm_gflops: products(&PRODUCTS_ON_GPU, device, dtype)?,
                copy_gbytes: copies_on(device)?,
            },
        })
    }
}

fn products(
    sides: &[(usize, usize, usize)],
    device: &Device,
    dtype: DType,
) -> Result<f64, BenchError> {
    let mut best = 0f64;
    for &(rows, inner, columns) in sides {
        let a = Tensor::ones((rows, inner), dtype, device)?;
        let b = Tensor::ones((inner, columns), dtype, device)?;
        for _ in 0..RUNS {
            device.synchronize()?;
            let started = Instant::now();
            black_box(a.matmul(&b)?);
            device.synchronize()?;
            let flop = 2.0 * (rows * inner * columns) as f64;
            best = best.max(flop / started.elapsed().as_secs_f64());
        }
    }
    Ok(best / 1e9)
}

/// A GPU's memory: every number is read, and another one is written.
fn copies_on(device: &Device) -> Result<f64, BenchError> {
    let numbers = COPIED;
    let from = Tensor::ones(numbers, DType::F32, device)?;
    let mut best = 0f64;
    for _ in 0..RUNS {
        device.synchronize()?;
        let started = Instant::now();
        black_box(from.affine(2.0, 1.0)?);
        device.synchronize()?;
        best = best.max(8.0 * numbers as f64 / started.elapsed().as_secs_f64());
    }
    Ok(best / 1e9)
}

fn copies() -> f64 {
    let from = vec![1u8; COPIED];
    let mut to = vec![0u8; COPIED];
    let part = COPIED.div_ceil(rayon::current_num_threads());
    let mut best = 0f64;
    for _ in 0..RUNS {
        let started = Instant::now();
        to.par_chunks_mut(part)
            .zip(from.par_chunks(part))
            .for_each(|(to, from)| to.copy_from_slice(from));
        black_box(&mut to);
        best = best.max(2.0 * COPIED as f64 / started.elapsed().as_secs_f64());
    }
    best / 1e9
}

/// The most memory that this process has held so far, in bytes: `VmHWM` of proc(5), which counts the pages of mapped files too.
/// `None` where the system has no `/proc`.
pub fn peak_rss() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The time that this process has computed so far, on all cores together and in the system too, in seconds; `None` where the system
/// does not say it. Unlike the time of a clock it hardly depends on what else the machine does.
pub fn cpu_seconds() -> Option<f64> {
    cpu_ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)
}

/// Fields 14 and 15 of a process's `stat`, in hundredths of a second. The name before them is in brackets and may hold anything.
fn cpu_ticks(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    Some((ticks()? + ticks()?) as f64 / 100.0)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_the_processor_is_that_of_programs_and_system() {
        let stat = "7 (a) b) R 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_ticks(stat), Some(3.0));
        assert_eq!(cpu_ticks("7 (lisa) R 1"), None);
        assert!(cpu_seconds().is_none_or(|seconds| seconds >= 0.0));
    }

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\tlisa\nVmPeak:\t  999 kB\nVmHWM:\t    2048 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(high_water_mark(status), Some(2 << 20));
        assert_eq!(high_water_mark("Name:\tlisa\n"), None);
    }
}
