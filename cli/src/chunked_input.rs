//! Bytes from a file or standard input, cut into chunks, read ahead on a thread of their own.

use bytes::Bytes;
use std::io::{self, Read};
use tokio::sync::mpsc;

/// How many chunks are read ahead.
const CHUNKS_AHEAD: usize = 32;

/// Chunks of an input, in order.
#[derive(Debug)]
pub(crate) struct ChunkedInput {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
}

impl ChunkedInput {
    /// Cuts `input` into chunks of `chunk_bytes`; the last one may be shorter.
    pub(crate) fn new(mut input: impl Read + Send + 'static, chunk_bytes: usize) -> Self {
        let (send, chunks) = mpsc::channel(CHUNKS_AHEAD);
        // Not a task: a read of standard input cannot be cancelled, and must not keep the runtime from ending.
        std::thread::spawn(move || {
            loop {
                let (chunk, last) = match read_chunk(&mut input, chunk_bytes) {
                    Ok(chunk) if chunk.is_empty() => return,
                    Ok(chunk) => (Ok(chunk), false),
                    Err(why) => (Err(why), true),
                };
                if send.blocking_send(chunk).is_err() || last {
                    return;
                }
            }
        });
        Self { chunks }
    }

    /// The next chunk; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<io::Result<Bytes>> {
        self.chunks.recv().await
    }
}

/// Reads until `chunk_bytes` are there or the input ends. A pipe gives its bytes in pieces; chunks do not depend on them.
fn read_chunk(input: &mut impl Read, chunk_bytes: usize) -> io::Result<Bytes> {
    let mut chunk = vec![0; chunk_bytes];
    let mut filled = 0;
    while filled < chunk_bytes {
        match input.read(&mut chunk[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
    chunk.truncate(filled);
    Ok(Bytes::from(chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most three bytes at a time, as a pipe might.
    struct Dribble(Vec<u8>);

    impl Read for Dribble {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = buffer.len().min(3).min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0.drain(..count);
            Ok(count)
        }
    }

    #[tokio::test]
    async fn chunks_do_not_depend_on_how_the_input_arrives() {
        let mut input = ChunkedInput::new(Dribble((0..20).collect()), 8);
        let mut sizes = Vec::new();
        let mut all = Vec::new();
        while let Some(chunk) = input.next().await {
            let chunk = chunk.expect("reads");
            sizes.push(chunk.len());
            all.extend_from_slice(&chunk);
        }
        assert_eq!(sizes, [8, 8, 4]);
        assert_eq!(all, (0..20).collect::<Vec<u8>>());
    }

    #[tokio::test]
    async fn nothing_in_is_no_chunk_not_an_empty_one() {
        assert!(ChunkedInput::new(io::empty(), 8).next().await.is_none());
    }
}
