//! MSE, MAE and MS-SSIM as losses with gradients.
