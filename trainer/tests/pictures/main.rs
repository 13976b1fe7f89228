//! Unusual and bad image files: read right, or refused by name.

mod by_hand;

use std::fs;
use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::{DynamicImage, Frame, ImageFormat, Rgba, RgbaImage};
use tempfile::TempDir;

use by_hand::{CMYK_JPEG, SIGNATURE, chunk, from_hex, header, png};
use msssim_trainer::picture::{Picture, PictureError, Problem, dimensions, list_images};

/// Reads `bytes` as a file with a name that tells nothing.
fn open(bytes: &[u8]) -> Result<Picture, PictureError> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("file.dat");
    fs::write(&path, bytes).unwrap();
    let opened = Picture::open(&path);
    match &opened {
        Ok(p) => assert_eq!(
            dimensions(&path).unwrap(),
            (p.width as u32, p.height as u32)
        ),
        Err(e) => assert!(e.to_string().contains("file.dat"), "{e} names no file"),
    }
    opened
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A picture with some detail, so that it does not compress to nothing.
fn sample(width: u32, height: u32) -> DynamicImage {
    let pixel = |x: u32, y: u32| image::Rgb([x * 7, y * 5, x * y].map(|v| (v % 256) as u8));
    image::RgbImage::from_fn(width, height, pixel).into()
}

#[test]
fn sixteen_bits_stay_sixteen() {
    let grey = image::ImageBuffer::from_raw(3, 1, vec![0u16, 513, 65_535]).unwrap();
    let grey = DynamicImage::ImageLuma16(grey);
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let picture = open(&encoded(&grey, format)).unwrap();
        assert_eq!(picture.planes, [[0.0, 513.0, 65_535.0]]);
        assert_eq!(picture.data_range, 65_535.0);
    }
    let picture = open(&encoded(&grey.to_rgb16().into(), ImageFormat::Png)).unwrap();
    assert_eq!(picture.planes, [[0.0, 513.0, 65_535.0]; 3]);
    let picture = open(b"P5 2 1 65535 \x02\x01\xff\xfe").unwrap();
    assert_eq!(picture.planes, [[513.0, 65_534.0]]);
}

#[test]
fn few_bits_and_palettes_are_expanded() {
    let bits = png(
        &header(10, 2, 1, 0),
        b"",
        &[&[0b1010_0000, 0x40], &[0, 0xFF]],
    );
    let picture = open(&bits).unwrap();
    assert_eq!((picture.planes.len(), picture.data_range), (1, 255.0));
    let row = |bits: [u8; 10]| bits.map(|b| f32::from(b) * 255.0);
    assert_eq!(picture.planes[0][..10], row([1, 0, 1, 0, 0, 0, 0, 0, 0, 1]));
    assert_eq!(picture.planes[0][10..], row([0, 0, 0, 0, 0, 0, 0, 0, 1, 1]));

    let palette = chunk(b"PLTE", &[1, 2, 3, 250, 251, 252]);
    let indexed = png(&header(4, 1, 2, 3), &palette, &[&[0b0001_0001]]);
    let picture = open(&indexed).unwrap();
    assert_eq!(picture.planes[0], [1.0, 250.0, 1.0, 250.0]);
    assert_eq!(picture.planes[2], [3.0, 252.0, 3.0, 252.0]);
    let clear = [palette, chunk(b"tRNS", &[255, 0])].concat();
    let error = open(&png(&header(4, 1, 2, 3), &clear, &[&[0b0001_0001]])).unwrap_err();
    assert!(matches!(error.problem, Problem::Transparent), "{error}");
    // A transparent entry that no pixel uses does not matter.
    assert!(open(&png(&header(4, 1, 2, 3), &clear, &[&[0]])).is_ok());
    assert_eq!(open(b"P4 2 1 \x40").unwrap().planes, [[255.0, 0.0]]);
}

#[test]
fn opaque_alpha_is_dropped_and_transparency_refused() {
    let with_alpha = |alpha: u8| {
        let grey = png(&header(2, 1, 8, 4), b"", &[&[9, 255, 200, alpha]]);
        let colour = png(&header(2, 1, 8, 6), b"", &[&[1, 2, 3, 255, 4, 5, 6, alpha]]);
        let deep = png(&header(1, 1, 16, 4), b"", &[&[1, 0, 255, alpha]]);
        [grey, colour, deep]
    };
    let [grey, colour, deep] = with_alpha(255).map(|bytes| open(&bytes).unwrap());
    assert_eq!(grey.planes, [[9.0, 200.0]]);
    assert_eq!(colour.planes, [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]);
    assert_eq!(deep.planes, [[256.0]]);
    for bytes in with_alpha(254) {
        let error = open(&bytes).unwrap_err();
        assert!(matches!(error.problem, Problem::Transparent), "{error}");
    }
}

#[test]
fn a_cmyk_jpeg_has_its_colours() {
    let picture = open(&from_hex(CMYK_JPEG)).unwrap();
    for (plane, expected) in picture.planes.iter().zip([51.0f32, 208.0, 152.0]) {
        assert!(
            plane.iter().all(|v| (v - expected).abs() <= 1.0),
            "{plane:?} for {expected}"
        );
    }
}

/// An orientation in the file moves no pixel: a pair is compared as it is stored.
#[test]
fn exif_is_passed_over() {
    let plain = encoded(&sample(16, 8), ImageFormat::Jpeg);
    // APP1: "Exif", a little-endian TIFF with one entry, orientation (274) = 6, rotated by 90 degrees.
    let exif = b"\xff\xe1\x00\x22Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
    let turned = [&plain[..2], exif, &plain[2..]].concat();
    let (plain, turned) = (open(&plain).unwrap(), open(&turned).unwrap());
    assert_eq!((turned.width, turned.height), (16, 8));
    assert_eq!(turned, plain);
}

#[test]
fn twenty_thousand_columns_are_read() {
    let wide = sample(20_000, 3);
    for format in [
        ImageFormat::Png,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Pnm,
    ] {
        let picture = open(&encoded(&wide, format)).unwrap();
        assert_eq!((picture.width, picture.height), (20_000, 3));
        assert_eq!(
            picture.planes[0][20_000 + 19_999],
            f32::from((19_999u32 * 7) as u8)
        );
        assert_eq!(picture.planes[1][2 * 20_000], 10.0);
    }
}

fn animated_gif(frames: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let frame = |i: u8| Frame::new(RgbaImage::from_pixel(4, 3, Rgba([i * 90, 7, 9, 255])));
    let mut encoder = GifEncoder::new(&mut bytes);
    encoder
        .encode_frames((0..frames).map(|i| frame(i as u8)))
        .unwrap();
    drop(encoder);
    bytes
}

fn animated_png(frames: u32) -> Vec<u8> {
    let control = chunk(b"acTL", &[frames.to_be_bytes(), [0; 4]].concat());
    let sides = [0u32, 2, 1, 0, 0].map(u32::to_be_bytes).concat();
    let frame = chunk(b"fcTL", &[sides.as_slice(), &[0, 1, 0, 1, 0, 0]].concat());
    png(&header(2, 1, 8, 0), &[control, frame].concat(), &[&[5, 6]])
}

/// A WebP of one colour and `frames` frames: an extended header, then each frame a lossless image.
fn animated_webp(frames: usize) -> Vec<u8> {
    let riff = |name: &[u8; 4], data: &[u8]| {
        let odd = vec![0; data.len() % 2];
        [
            name.as_slice(),
            &(data.len() as u32).to_le_bytes(),
            data,
            &odd,
        ]
        .concat()
    };
    let still = encoded(&sample(4, 3), ImageFormat::WebP);
    let lossless = &still[12..];
    // Position and sides less 1 are 24 bits, and so is the duration; the flag replaces what is below.
    let frame = riff(
        b"ANMF",
        &[&[0, 0, 0, 0, 0, 0, 3, 0, 0, 2, 0, 0, 9, 0, 0, 2], lossless].concat(),
    );
    let extended = riff(b"VP8X", &[0b10, 0, 0, 0, 3, 0, 0, 2, 0, 0]);
    let control = riff(b"ANIM", &[0; 6]);
    riff(
        b"RIFF",
        &[
            b"WEBP".as_slice(),
            &extended,
            &control,
            &frame.repeat(frames),
        ]
        .concat(),
    )
}

#[test]
fn animations_are_refused_and_single_frames_are_not() {
    let files: [fn(usize) -> Vec<u8>; 3] =
        [animated_gif, |n| animated_png(n as u32), animated_webp];
    for (kind, file) in files.iter().enumerate() {
        let single = open(&file(1)).unwrap_or_else(|e| panic!("kind {kind}: {e}"));
        assert!(single.width > 1);
        let error = open(&file(2)).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Animated),
            "kind {kind}: {error}"
        );
    }
    assert!(open(&encoded(&sample(4, 3), ImageFormat::WebP)).is_ok());
}

#[test]
fn truncated_files_are_refused() {
    let formats = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
        ImageFormat::Gif,
        ImageFormat::WebP,
        ImageFormat::Pnm,
    ];
    for format in formats {
        let whole = encoded(&sample(40, 30), format);
        assert!(open(&whole).is_ok(), "{format:?}");
        for cut in [
            whole.len() / 8,
            whole.len() / 2,
            whole.len() * 9 / 10,
            whole.len() - 16,
        ] {
            let opened = open(&whole[..cut]);
            assert!(
                opened.is_err(),
                "{format:?} cut at {cut} of {}",
                whole.len()
            );
        }
    }
}

#[test]
fn empty_missing_and_foreign_files_are_named() {
    assert!(matches!(open(b"").unwrap_err().problem, Problem::Empty));
    for bytes in [b"hello".as_slice(), b"{\"a\": 1}", &[0; 200], b"P"] {
        let error = open(bytes).unwrap_err();
        assert!(matches!(error.problem, Problem::Unknown), "{error}");
    }
    let folder = TempDir::new().unwrap();
    let missing = folder.path().join("missing.png");
    for path in [missing.as_path(), folder.path()] {
        let error = Picture::open(path).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Read(_)) && error.path == path,
            "{error}"
        );
    }
    // The name says JPEG, the content PNG: the content is right.
    let renamed = folder.path().join("photo.jpg");
    fs::write(&renamed, encoded(&sample(4, 4), ImageFormat::Png)).unwrap();
    assert_eq!(Picture::open(&renamed).unwrap().width, 4);
}

#[test]
fn headers_that_claim_too_much_are_refused() {
    let lying_png = |w, h| png(&header(w, h, 8, 2), b"", &[&[0; 64]]);
    let mut jpeg = encoded(&sample(16, 16), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|m| m == [0xFF, 0xC0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xFF);
    let mut bmp = encoded(&sample(16, 16), ImageFormat::Bmp);
    bmp[18..22].copy_from_slice(&i32::MAX.to_le_bytes());
    let mut gif = animated_gif(1);
    gif[6..10].fill(0xFF);
    let files = [
        lying_png(1 << 16, 1 << 15),
        lying_png(i32::MAX as u32, i32::MAX as u32),
        lying_png(1 << 31, 1),
        jpeg,
        bmp,
        gif,
        b"P6 65536 32768 255 abc".to_vec(),
        b"P5 4294967295 4294967295 255 abc".to_vec(),
    ];
    for (i, bytes) in files.iter().enumerate() {
        let error = open(bytes).unwrap_err();
        assert!(
            matches!(
                error.problem,
                Problem::TooLarge(..) | Problem::TooMuch | Problem::Damaged(_)
            ),
            "file {i}: {error}"
        );
    }
    let error = open(&files[0]).unwrap_err();
    assert!(
        error.to_string().contains("65536 x 32768 pixels"),
        "{error}"
    );
    // A claim that is allowed and a file that does not keep it.
    let error = open(&lying_png(8_000, 8_000)).unwrap_err();
    assert!(matches!(error.problem, Problem::Damaged(_)), "{error}");
    for (w, h) in [(0, 1), (1, 0)] {
        assert!(open(&lying_png(w, h)).is_err(), "{w} x {h}");
    }
}

#[test]
fn floating_point_samples_are_refused() {
    let float =
        DynamicImage::ImageRgb32F(image::ImageBuffer::from_pixel(2, 2, image::Rgb([0.5; 3])));
    let error = open(&encoded(&float, ImageFormat::Tiff)).unwrap_err();
    assert!(matches!(error.problem, Problem::Float), "{error}");
}

/// Every byte of a small file changed in turn gives a picture or an error, never a panic.
#[test]
fn damaged_bytes_never_panic() {
    let image = sample(9, 7);
    for format in [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::Bmp,
        ImageFormat::Tiff,
    ] {
        let mut bytes = encoded(&image, format);
        for i in 0..bytes.len().min(160) {
            bytes[i] ^= 0xFF;
            if let Ok(picture) = open(&bytes) {
                let pixels = picture.width * picture.height;
                assert!(picture.planes.iter().all(|plane| plane.len() == pixels));
            }
            bytes[i] ^= 0xFF;
        }
    }
    assert_eq!(
        open(&[SIGNATURE, b"IHDR"].concat())
            .unwrap_err()
            .to_string()
            .lines()
            .count(),
        1
    );
}

#[test]
fn images_are_listed_in_order_and_other_files_are_not() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("b.png", b"");
    write("A.JPG", b"not really");
    write("c", b"P5 1 1 255 x");
    write("notes.txt", b"of no interest");
    write("._b.png", b"another system's notes about b.png");
    fs::create_dir(folder.path().join("sub.png")).unwrap();
    let images = list_images(folder.path()).unwrap();
    let names: Vec<_> = images.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["A.JPG", "b.png", "c"]);
}

#[test]
fn a_folder_without_images_is_named() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("notes.txt");
    fs::write(&file, "text").unwrap();
    let error = list_images(folder.path()).unwrap_err();
    assert!(matches!(error.problem, Problem::NoImages) && error.path == folder.path());
    for path in [folder.path().join("missing"), file] {
        let error = list_images(&path).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Read(_)) && error.path == path,
            "{error}"
        );
    }
}

#[test]
fn saved_samples_are_rounded_half_up_and_clamped() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("out.png");
    let picture = |planes: Vec<Vec<f32>>, data_range| Picture {
        width: planes[0].len(),
        height: 1,
        planes,
        data_range,
    };
    let grey = vec![-3.0, 0.49, 0.5, 254.5, 300.0, f32::NAN, f32::INFINITY];
    picture(vec![grey], 255.0).save_png(&path).unwrap();
    let back = Picture::open(&path).unwrap();
    assert_eq!(back.planes, [[0.0, 0.0, 1.0, 255.0, 255.0, 0.0, 255.0]]);
    let deep = vec![vec![0.0, 65_535.0], vec![257.0, 128.4], vec![128.5, 514.0]];
    picture(deep, 65_535.0).save_png(&path).unwrap();
    let back = Picture::open(&path).unwrap();
    assert_eq!(back.planes, [[0.0, 255.0], [1.0, 0.0], [1.0, 2.0]]);

    let missing = folder.path().join("missing").join("out.png");
    for path in [missing.as_path(), folder.path()] {
        let error = picture(vec![vec![1.0]], 255.0).save_png(path).unwrap_err();
        assert!(
            matches!(error.problem, Problem::Write(_)) && error.path == path,
            "{error}"
        );
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "a part is left"
    );
}
