//! Messages as ROS 2 serializes them: CDR of the plain encoding, version 1, little endian (OMG DDS-XTypes 7.4.1).

/// A message being written, field by field. Numbers are aligned to their size from the start of the body.
pub(super) struct Cdr(Vec<u8>);

/// The encapsulation before the body, which alignment does not count.
const ENCAPSULATION: [u8; 4] = [0, 1, 0, 0];

impl Cdr {
    pub fn new() -> Self {
        Self(ENCAPSULATION.into())
    }

    /// `uint8`, and `bool` as 0 or 1.
    pub fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.align(4);
        self.0.extend(value.to_le_bytes());
        self
    }

    pub fn i32(self, value: i32) -> Self {
        self.u32(u32::from_ne_bytes(value.to_ne_bytes()))
    }

    /// `float64[N]`: its length is in the type.
    pub fn f64s(mut self, values: &[f64]) -> Self {
        for value in values {
            self.align(8);
            self.0.extend(value.to_le_bytes());
        }
        self
    }

    /// `float64[]`.
    pub fn f64_sequence(self, values: &[f64]) -> Self {
        self.u32(values.len() as u32).f64s(values)
    }

    /// `uint8[]`.
    pub fn bytes(self, values: &[u8]) -> Self {
        let mut cdr = self.u32(values.len() as u32);
        cdr.0.extend(values);
        cdr
    }

    /// `string`, which a NUL ends on the wire.
    pub fn string(self, text: &str) -> Self {
        let mut cdr = self.u32(text.len() as u32 + 1);
        cdr.0.extend(text.as_bytes());
        cdr.u8(0)
    }

    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    fn align(&mut self, size: usize) {
        let body = self.0.len() - ENCAPSULATION.len();
        let padded = ENCAPSULATION.len() + body.next_multiple_of(size);
        self.0.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_aligned_from_the_body_and_little_endian() {
        let bytes = Cdr::new()
            .string("hi")
            .i32(-2)
            .u8(1)
            .f64s(&[1.5])
            .bytes(&[7])
            .f64_sequence(&[])
            .finish();
        let expected = [
            &[0, 1, 0, 0][..],
            &[3, 0, 0, 0, b'h', b'i', 0, 0],
            &[254, 255, 255, 255, 1, 0, 0, 0],
            &1.5f64.to_le_bytes(),
            &[1, 0, 0, 0, 7, 0, 0, 0],
            &[0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
    }
}
