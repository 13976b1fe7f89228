//! Training image networks with MSE, MAE and MS-SSIM, and comparing what they learn.

#![forbid(unsafe_code)]

pub mod atomic_file;
pub mod autoencoder;
pub mod backend;
pub mod built_in;
pub mod checkpoint;
pub mod colour;
pub mod commands;
pub mod data;
pub mod dead_leaves;
pub mod device;
pub mod evaluation;
pub mod experiment;
pub mod loss;
pub mod network;
pub mod onnx;
pub mod optimizer;
pub mod parameters;
pub mod patches;
pub mod picture;
pub mod probe;
mod protobuf;
pub mod quality;
pub mod random;
pub mod reconstruction;
pub mod report;
pub mod resize;
pub mod run_folder;
pub mod run_log;
pub mod schedule;
pub mod scorer;
pub mod srcnn;
pub mod super_resolution;
pub mod tensorboard;
pub mod training;
