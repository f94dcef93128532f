//! Taking fields off the front of bytes that somebody else wrote: what is missing is an error, never a panic.

use bytes::Buf;

/// The bytes end before the field does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Short;

/// Bytes to take fields from.
pub(super) struct Taking<B>(pub(super) B);

impl<B: Buf> Taking<B> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let mut array = [0; N];
        if self.0.remaining() < N {
            return Err(Short);
        }
        self.0.copy_to_slice(&mut array);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Short> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, Short> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Short> {
        self.array().map(u64::from_be_bytes)
    }

    /// As many bytes as a length in front of them says.
    pub(super) fn counted(&mut self) -> Result<Vec<u8>, Short> {
        let length = usize::from(self.u8()?);
        if self.0.remaining() < length {
            return Err(Short);
        }
        let mut bytes = vec![0; length];
        self.0.copy_to_slice(&mut bytes);
        Ok(bytes)
    }
}
