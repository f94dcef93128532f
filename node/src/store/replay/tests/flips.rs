//! Any flipped bit anywhere: nothing that was confirmed may become *never*, and nothing may appear that was not written.

use super::image::{Image, Reader};
use super::*;

/// A small generator of numbers, so that a failure names its seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn check(image: &Image, seed: u64) {
    let replayed = Reader::default().replay(image).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    for seq in 0..60 {
        assert_ne!(says(&replayed, 1, seq), Says::Never, "seed {seed} seq {seq}: {:?}", replayed.report);
    }
    for (key, place) in replayed.index.iter() {
        let found = image
            .chunks
            .iter()
            .find(|(_, chunk)| (chunk.log, chunk.segment, chunk.seq) == (key.log, key.segment, key.seq));
        let (_, chunk) = found.unwrap_or_else(|| panic!("seed {seed}: {key:?} was never written"));
        assert_eq!((place.position, place.length), (chunk.position, chunk.length), "seed {seed}");
    }
    // Twice the same, whatever it is.
    if !seed.is_multiple_of(8) {
        return;
    }
    let again = Reader { newest_first: true, ..Reader::default() }.replay(image).unwrap();
    assert_eq!((replayed.logs, replayed.report), (again.logs, again.report), "seed {seed}");
}

/// D4: one flipped bit at a time, all over the written blocks.
#[test]
fn no_flipped_bit_makes_a_confirmed_chunk_vanish() {
    let good = three_files();
    let blocks: Vec<(u32, u64)> = (good.files.iter())
        .flat_map(|(number, file)| file.blocks.keys().map(move |at| (*number, *at)))
        .filter(|(file, at)| {
            // The mark that ends the image is the one batch that no mark covers.
            (*file, at * 4096) != good.batches.last().map(|written| (written.file, written.position)).unwrap()
        })
        .collect();
    for seed in 0..400 {
        let mut numbers = Numbers(seed);
        let mut image = good.clone();
        let (file, block) = blocks[numbers.next(blocks.len() as u64) as usize];
        // Headers are where it hurts: half of the flips go there.
        let byte = if seed % 2 == 0 { numbers.next(256) } else { numbers.next(4096) };
        image.file(file).flip(block * 4096 + byte, numbers.next(8) as u8);
        check(&image, seed);
    }
}

/// Several at once, and whole sectors: more is lost, and all of it is said.
#[test]
fn no_handful_of_damage_makes_a_confirmed_chunk_vanish() {
    let good = three_files();
    let last = good.batches.last().copied().unwrap();
    for seed in 0..100 {
        let mut numbers = Numbers(seed);
        let mut image = good.clone();
        // Below the marks and in one file: two damaged files in a row may hide the newest snapshot's list.
        let file = 1 + numbers.next(3) as u32;
        let blocks: Vec<u64> = image.files[&file].blocks.keys().copied().collect();
        for _ in 0..3 {
            let block = blocks[numbers.next(blocks.len() as u64) as usize];
            if (file, block * 4096) != (last.file, last.position) {
                let sector = block * 4096 + 512 * numbers.next(8);
                (sector..sector + 512).for_each(|byte| image.file(file).flip(byte, 1));
            }
        }
        check(&image, seed);
    }
}
