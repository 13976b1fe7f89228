//! PSNR, SSIM and MS-SSIM of one picture.
