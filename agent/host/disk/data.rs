//! Looks for data on a device without a signature, to tell a blank device from one that something unknown uses.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Bytes at either end of a device without a signature that are read whole. Partition tables, boot code and the metadata of
/// arrays are there. An EBS volume of the smallest throughput, 125 MiB/s, takes an eighth of a second for 16 MiB.
const EDGE: u64 = 16 << 20;
/// Bytes of an edge that are read at a time.
const CHUNK: u64 = 1 << 20;
/// Number of blocks that are read between the edges, evenly spread. To read a whole volume would take minutes. If a
/// hundredth of the volume has data, these blocks meet some of it with near certainty.
pub(super) const SAMPLES: u64 = 1024;
const BLOCK: u64 = 4096;

/// The data of a device: all that is not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Data {
    /// Offset of the first byte of data, as far as the device was read.
    pub(super) first: Option<u64>,
    /// Number of samples that have data.
    pub(super) samples: u64,
}

/// Reads the size of a device in bytes.
pub(super) fn size_of(node: &Path) -> Result<u64> {
    let context = || format!("read the size of {}", node.display());
    File::open(node).with_context(context)?.seek(SeekFrom::End(0)).with_context(context)
}

/// Looks for data at both ends of a device and at many places in between.
pub(super) fn data_on(node: &Path) -> Result<Data> {
    let size = size_of(node)?;
    let look = || -> std::io::Result<Data> {
        let file = File::open(node)?;
        // Blocks around a sample are not read ahead.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_RANDOM);
        let mut data = Data::default();
        let mut buffer = vec![0; CHUNK as usize];
        for (offset, length) in places(size) {
            let bytes = &mut buffer[..length as usize];
            file.read_exact_at(bytes, offset)?;
            if let Some(at) = first_data(bytes) {
                data.first.get_or_insert(offset + at as u64);
                data.samples += u64::from(length == BLOCK);
            }
        }
        Ok(data)
    };
    look().with_context(|| format!("read {}", node.display()))
}

/// Finds the first byte that is not zero. If the first byte is zero and each byte equals the one before, all bytes are zero.
/// To compare two ranges is far faster than to look at each byte.
fn first_data(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    match *first == 0 && *rest == bytes[..rest.len()] {
        true => None,
        false => bytes.iter().position(|byte| *byte != 0),
    }
}

/// Lists the places of a device that are read, in order. A small device is read whole.
fn places(size: u64) -> Vec<(u64, u64)> {
    let between = size.saturating_sub(2 * EDGE) / BLOCK;
    if between <= SAMPLES {
        return chunks(0, size).collect();
    }
    let samples = (0..SAMPLES).map(|index| (EDGE + index * between / SAMPLES * BLOCK, BLOCK));
    chunks(0, EDGE).chain(samples).chain(chunks(size - EDGE, size)).collect()
}

/// Splits a range into pieces that are each read at once.
fn chunks(start: u64, end: u64) -> impl Iterator<Item = (u64, u64)> {
    (start..end).step_by(CHUNK as usize).map(move |offset| (offset, CHUNK.min(end - offset)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_are_found_at_the_ends_and_in_samples_between() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(8 << 30).unwrap();
        assert_eq!(data_on(file.path()).unwrap(), Data::default());
        file.as_file().write_all_at(&[1], (8 << 30) - 1).unwrap();
        assert_eq!(data_on(file.path()).unwrap(), Data { first: Some((8 << 30) - 1), samples: 0 });
        // Two samples, and a block that is not looked at.
        let samples: Vec<_> = places(8 << 30).into_iter().filter(|(_, length)| *length == BLOCK).collect();
        for offset in [samples[3].0 + 5, samples[4].0, samples[5].0 + BLOCK] {
            file.as_file().write_all_at(&[1], offset).unwrap();
        }
        assert_eq!(data_on(file.path()).unwrap(), Data { first: Some(samples[3].0 + 5), samples: 2 });
        file.as_file().write_all_at(&[1], CHUNK + 3).unwrap();
        assert_eq!(data_on(file.path()).unwrap(), Data { first: Some(CHUNK + 3), samples: 2 });
    }

    #[test]
    fn the_first_byte_of_data_is_found() {
        assert_eq!(first_data(&[]), None);
        for (bytes, expected) in [([0; 4], None), ([0, 0, 0, 1], Some(3)), ([0, 2, 2, 2], Some(1)), ([1; 4], Some(0))] {
            assert_eq!(first_data(&bytes), expected);
        }
    }

    #[test]
    fn both_ends_and_places_all_over_are_read() {
        assert_eq!(places(0), []);
        assert_eq!(places(5), [(0, 5)]);
        assert_eq!(places(CHUNK + 5), [(0, CHUNK), (CHUNK, 5)]);
        let covered = |size: u64| places(size).iter().map(|(_, length)| length).sum::<u64>();
        assert_eq!(covered(36 << 20), 36 << 20);
        for size in [(36 << 20) + 4096, 100 << 30, (1 << 44) + 512] {
            let places = places(size);
            assert_eq!(places[..16].iter().map(|(_, length)| length).sum::<u64>(), EDGE);
            let last = &places[places.len() - 16..];
            assert_eq!((places[0].0, last[0].0, last[15]), (0, size - EDGE, (size - CHUNK, CHUNK)));
            assert_eq!(covered(size), 2 * EDGE + SAMPLES * BLOCK);
            let apart = places.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
            assert!(apart && places.iter().all(|(offset, length)| offset + length <= size), "{size}");
        }
    }
}
