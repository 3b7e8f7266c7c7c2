//! Where a device without a signature has data: what tells a blank one from one that is used by something unknown.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// What is read whole at either end of a device without a signature: partition tables, boot code and the metadata of
/// arrays lie there. To read 16 MiB takes an EBS volume of the smallest throughput, 125 MiB/s, an eighth of a second.
const EDGE: u64 = 16 << 20;
/// What is read of an edge at a time.
const CHUNK: u64 = 1 << 20;
/// How many blocks are read in between, evenly spread: to read a volume whole would take minutes, and whoever wrote to a
/// hundredth of it is met by one of these with near certainty.
pub(super) const SAMPLES: u64 = 1024;
const BLOCK: u64 = 4096;

/// Where a device has anything but zeros.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Data {
    /// The byte where it begins, as far as the device was read.
    pub(super) first: Option<u64>,
    /// How many of the samples have some.
    pub(super) samples: u64,
}

/// The size of a device in bytes.
pub(super) fn size_of(node: &Path) -> Result<u64> {
    let context = || format!("read the size of {}", node.display());
    File::open(node).with_context(context)?.seek(SeekFrom::End(0)).with_context(context)
}

/// Looks for data at both ends of a device and at many places in between.
pub(super) fn data_on(node: &Path) -> Result<Data> {
    let size = size_of(node)?;
    let look = || -> std::io::Result<Data> {
        let file = File::open(node)?;
        // What lies around a sample is not read ahead.
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

/// The first byte that is not zero. Where each byte is as the one before, the first tells of all, and two ranges are
/// compared far faster than bytes are looked at.
fn first_data(bytes: &[u8]) -> Option<usize> {
    let (first, rest) = bytes.split_first()?;
    match *first == 0 && *rest == bytes[..rest.len()] {
        true => None,
        false => bytes.iter().position(|byte| *byte != 0),
    }
}

/// The places that are read of a device, in order: all of a small one.
fn places(size: u64) -> Vec<(u64, u64)> {
    let between = size.saturating_sub(2 * EDGE) / BLOCK;
    if between <= SAMPLES {
        return chunks(0, size).collect();
    }
    let samples = (0..SAMPLES).map(|index| (EDGE + index * between / SAMPLES * BLOCK, BLOCK));
    chunks(0, EDGE).chain(samples).chain(chunks(size - EDGE, size)).collect()
}

/// A range as pieces that are read at once.
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
