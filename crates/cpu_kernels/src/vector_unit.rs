//! The processor's vector unit, found once, and the shape of the micro-kernel that its registers hold.

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Runs `op` compiled for the widest vector unit that this processor and this build have.
#[inline]
pub(crate) fn vectorised<Op: WithSimd>(op: Op) -> Op::Output {
    static ARCH: OnceLock<Arch> = OnceLock::new();
    ARCH.get_or_init(Arch::new).dispatch(op)
}

/// Numbers of f32 in a register of the vector unit; 1 where none is known to this build.
pub(crate) fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    vectorised(Lanes)
}

/// Columns of a packed panel, for registers of so many lanes: the columns of the micro-kernel. 0 where no kernel exists.
pub(crate) const fn panel_width(lanes: usize) -> usize {
    match lanes {
        4 | 8 => 16,
        _ => 0,
    }
}

/// Whether this processor has a vector unit for which there are kernels: AVX2 with FMA, or NEON.
pub fn available() -> bool {
    panel_width(lanes()) > 0
}
