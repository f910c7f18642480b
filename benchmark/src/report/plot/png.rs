//! Encodes pixels as PNG (<https://www.w3.org/TR/png-3/>): the four chunks that a plain RGB image needs.

use std::io::Write;

use fanfold::model::error::{Error, Result};
use flate2::Compression;
use flate2::write::ZlibEncoder;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
/// Eight bits per channel, RGB, the only compression and filter method, not interlaced.
const FORMAT: [u8; 5] = [8, 2, 0, 0, 0];
const CHANNELS: usize = 3;
/// The filter that stores each line as its difference from the one above, which is mostly zero in a plot.
const UP: u8 = 2;

/// Scales an image down by a whole factor; each pixel is the mean of those it replaces.
pub fn shrink(pixels: &[u8], width: usize, factor: usize) -> Vec<u8> {
    let (columns, rows) = (width / factor, pixels.len() / CHANNELS / width / factor);
    let mut small = Vec::with_capacity(columns * rows * CHANNELS);
    for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
        for channel in 0..CHANNELS {
            let inside = (0..factor * factor).map(|at| (row * factor + at / factor, column * factor + at % factor));
            let sum: usize = inside.map(|(y, x)| usize::from(pixels[(y * width + x) * CHANNELS + channel])).sum();
            small.push((sum / (factor * factor)) as u8);
        }
    }
    small
}

/// Encodes an image as a PNG file.
pub fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>> {
    let broken = |e| Error::internal("the image cannot be compressed").because(e);
    let stride = width as usize * CHANNELS;
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let mut above = vec![0; stride];
    for line in pixels.chunks_exact(stride) {
        let mut filtered = vec![UP];
        filtered.extend(line.iter().zip(&above).map(|(now, before)| now.wrapping_sub(*before)));
        encoder.write_all(&filtered).map_err(broken)?;
        above.copy_from_slice(line);
    }
    let data = encoder.finish().map_err(broken)?;
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &FORMAT].concat();
    let mut file = SIGNATURE.to_vec();
    for (name, content) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        chunk(&mut file, name, &content);
    }
    Ok(file)
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], content: &[u8]) {
    let mut checksum = flate2::Crc::new();
    checksum.update(name);
    checksum.update(content);
    file.extend((content.len() as u32).to_be_bytes());
    file.extend(name);
    file.extend(content);
    file.extend(checksum.sum().to_be_bytes());
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use std::io::Read;

    /// Decodes the output of [`encode`], checking every length and checksum: width, height, pixels.
    pub fn decode(file: &[u8]) -> (u32, u32, Vec<u8>) {
        let number = |bytes: &[u8]| u32::from_be_bytes(bytes[..4].try_into().unwrap());
        let mut rest = file.strip_prefix(SIGNATURE).unwrap();
        let (mut size, mut data, mut ended) = ((0, 0), Vec::new(), false);
        while !rest.is_empty() {
            let length = number(rest) as usize;
            let (name, content) = (&rest[4..8], &rest[8..8 + length]);
            let mut checksum = flate2::Crc::new();
            checksum.update(&rest[4..8 + length]);
            assert_eq!(checksum.sum(), number(&rest[8 + length..]));
            match name {
                b"IHDR" => size = (number(content), number(&content[4..])),
                b"IDAT" => drop(flate2::read::ZlibDecoder::new(content).read_to_end(&mut data).unwrap()),
                _ => ended = name == b"IEND",
            }
            rest = &rest[12 + length..];
        }
        assert!(ended);
        let stride = size.0 as usize * CHANNELS;
        let mut pixels: Vec<u8> = Vec::new();
        for line in data.chunks_exact(stride + 1) {
            assert_eq!(line[0], UP);
            let start = pixels.len().saturating_sub(stride);
            let above = if pixels.is_empty() { vec![0; stride] } else { pixels[start..].to_vec() };
            pixels.extend(line[1..].iter().zip(above).map(|(change, before)| change.wrapping_add(before)));
        }
        (size.0, size.1, pixels)
    }

    #[test]
    fn an_image_survives_its_file() {
        let pixels: Vec<u8> = (0..5 * 4 * 3).map(|n| (n * 37 % 256) as u8).collect();
        assert_eq!(decode(&encode(&pixels, 5, 4).unwrap()), (5, 4, pixels));
    }

    #[test]
    fn a_small_pixel_is_the_mean_of_four() {
        let (black, white) = ([0; 3], [255; 3]);
        let pixels = [black, white, white, white, white, white, white, white].concat();
        assert_eq!(shrink(&pixels, 4, 2), [191, 191, 191, 255, 255, 255]);
    }
}
