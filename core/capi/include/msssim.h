/*
 * MS-SSIM and its gradient: no allocation, the caller's memory, status codes.
 *
 * Made from core/capi/src by core/capi/header.sh; change that instead.
 *
 *     #include <msssim.h>
 *
 *     MsssimParams params;
 *     MsssimScore score;
 *     MsssimStatus status = msssim_params_named("wang-2003", &params);
 *     MsssimImage x = msssim_image(original, MSSSIM_SAMPLE_U8, width, height, 1);
 *     MsssimImage y = msssim_image(compressed, MSSSIM_SAMPLE_U8, width, height, 1);
 *     if (status == MSSSIM_STATUS_OK)
 *         status = msssim_score(&params, &x, &y, scratch, scratch_len, &score);
 *
 * Every function may be called from any thread; a stream and scratch belong to one call at a time. A pointer
 * that is null or not aligned, memory that is too short or overlaps what is written, and numbers out of range
 * are found and give a status; where a pointer is to, and how much is there, is the caller's word.
 */

#ifndef MSSSIM_H
#define MSSSIM_H

#include <stddef.h>
#include <stdint.h>
/*
 * Bytes that are enough for a stream of images of this width, by any named convention that streams can have:
 *
 *     static uint64_t memory[MSSSIM_STREAM_BYTES(640) / 8];
 */
#define MSSSIM_STREAM_BYTES(width) (4096 + 216 * (size_t)(width))


/**
 * The largest number of channels of an image.
 */
#define MSSSIM_MAX_CHANNELS 4

/**
 * The largest number of scales.
 */
#define MSSSIM_MAX_SCALES 8

/**
 * The largest number of window taps on either side of the centre.
 */
#define MSSSIM_MAX_RADIUS 16

/**
 * What the memory of a stream must be aligned to, in bytes.
 */
#define MSSSIM_STREAM_ALIGN 8

/**
 * What a function returns: 0 or what was wrong. Nothing is written through any pointer then, but what a
 * function says.
 */
enum MsssimStatus
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Done.
   */
  MSSSIM_STATUS_OK = 0,
  /**
   * A pointer that must not be is null.
   */
  MSSSIM_STATUS_NULL = 1,
  /**
   * A pointer is not aligned as its type, or a stream's memory not to MSSSIM_STREAM_ALIGN bytes.
   */
  MSSSIM_STATUS_MISALIGNED = 2,
  /**
   * Memory that is written overlaps other memory of the same call.
   */
  MSSSIM_STATUS_OVERLAP = 3,
  /**
   * Scratch, a gradient or a stream's memory is shorter than its length function says.
   */
  MSSSIM_STATUS_SHORT_MEMORY = 4,
  /**
   * No convention has this name.
   */
  MSSSIM_STATUS_UNKNOWN_NAME = 5,
  /**
   * A parameter is out of its range; msssim_params_check says which.
   */
  MSSSIM_STATUS_PARAMETER = 6,
  /**
   * An image is smaller than its coarsest scale allows; see msssim_params_smallest_side.
   */
  MSSSIM_STATUS_TOO_SMALL = 7,
  /**
   * An image has more samples than memory can be asked for.
   */
  MSSSIM_STATUS_TOO_LARGE = 8,
  /**
   * Images differ in size, or rows do not fit a stream's image.
   */
  MSSSIM_STATUS_SIZE_MISMATCH = 9,
  /**
   * Images differ in their number of channels, or it is none, more than MSSSIM_MAX_CHANNELS, or in a
   * stream not one.
   */
  MSSSIM_STATUS_CHANNEL_MISMATCH = 10,
  /**
   * Images differ in the type of their samples, or it is none of MsssimSample.
   */
  MSSSIM_STATUS_SAMPLE_TYPE = 11,
  /**
   * The samples of an image end before its last row does.
   */
  MSSSIM_STATUS_SHORT_IMAGE = 12,
  /**
   * A stride is shorter than what it steps over, or a step is 0.
   */
  MSSSIM_STATUS_SHORT_STRIDE = 13,
  /**
   * A pointer to a stream is to something else.
   */
  MSSSIM_STATUS_NOT_A_STREAM = 14,
  /**
   * A score was asked for before all rows have arrived.
   */
  MSSSIM_STATUS_MISSING_ROWS = 15,
  /**
   * None of the above; a newer core has errors that this interface does not know.
   */
  MSSSIM_STATUS_OTHER = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimStatus MsssimStatus;
#else
typedef uint32_t MsssimStatus;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a window sees beyond the image.
 */
enum MsssimBorder
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Nothing: only windows inside the image count.
   */
  MSSSIM_BORDER_VALID = 0,
  /**
   * The nearest pixel of the image.
   */
  MSSSIM_BORDER_REPLICATE = 1,
  /**
   * The image mirrored about its outermost pixels, which are not repeated.
   */
  MSSSIM_BORDER_REFLECT = 2,
  /**
   * Of the coarsest scale: what the other scales have.
   */
  MSSSIM_BORDER_SAME = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimBorder MsssimBorder;
#else
typedef uint32_t MsssimBorder;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How the next scale is made; the first four take means of 2 x 2 samples and differ on odd sides.
 */
enum MsssimHalving
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Rounds up; the last row or column is averaged with itself.
   */
  MSSSIM_HALVING_SYMMETRIC = 0,
  /**
   * Rounds up; zeros before the first row or column take part.
   */
  MSSSIM_HALVING_ZERO = 1,
  /**
   * Rounds down.
   */
  MSSSIM_HALVING_FLOOR = 2,
  /**
   * If either side is odd, the first row and column are repeated; then rounds down.
   */
  MSSSIM_HALVING_REPLICATE_FIRST = 3,
  /**
   * The nine-tap low-pass filter of the 9/7 wavelets. Rounds up.
   */
  MSSSIM_HALVING_LOW_PASS97 = 4,
  /**
   * Not at all: sigma_growth widens the windows.
   */
  MSSSIM_HALVING_KEEP = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimHalving MsssimHalving;
#else
typedef uint32_t MsssimHalving;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What becomes of a negative term, whose power is not real.
 */
enum MsssimNegative
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * A negative mean counts as 0.
   */
  MSSSIM_NEGATIVE_ZERO = 0,
  /**
   * Each negative term counts as 0 before the mean is taken.
   */
  MSSSIM_NEGATIVE_ZERO_MAP = 1,
  /**
   * `sign(t) |t|^w`
   */
  MSSSIM_NEGATIVE_SIGNED = 2,
  /**
   * `|t|^w`
   */
  MSSSIM_NEGATIVE_MAGNITUDE = 3,
  /**
   * `((1 + t) / 2)^w`, for all terms.
   */
  MSSSIM_NEGATIVE_SHIFTED = 4,
  /**
   * `max(t, lower_bound)^w`
   */
  MSSSIM_NEGATIVE_LOWER_BOUND = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimNegative MsssimNegative;
#else
typedef uint32_t MsssimNegative;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How the terms of all windows of all scales become one number.
 */
enum MsssimPooling
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The product of the scales' means.
   */
  MSSSIM_POOLING_MEANS = 0,
  /**
   * The mean of products pixel by pixel.
   */
  MSSSIM_POOLING_PIXEL_PRODUCT = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimPooling MsssimPooling;
#else
typedef uint32_t MsssimPooling;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What is pooled together.
 */
enum MsssimTerms
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Contrast times structure, on the coarsest scale times luminance.
   */
  MSSSIM_TERMS_CONTRAST_STRUCTURE = 0,
  /**
   * Each by itself: exponents are alpha, weights and gamma.
   */
  MSSSIM_TERMS_APART = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimTerms MsssimTerms;
#else
typedef uint32_t MsssimTerms;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * When channels become one number.
 */
enum MsssimChannels
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Each has a score of its own; the mean of those is the image's.
   */
  MSSSIM_CHANNELS_SCORES = 0,
  /**
   * Means are over all channels.
   */
  MSSSIM_CHANNELS_MEANS = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimChannels MsssimChannels;
#else
typedef uint32_t MsssimChannels;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What to do with images that are too small.
 */
enum MsssimSmall
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * Fewer scales, whose exponents have the same sum.
   */
  MSSSIM_SMALL_FEWER_SCALES = 0,
  /**
   * Windows over the border, which is replicated.
   */
  MSSSIM_SMALL_REPLICATE = 1,
  /**
   * Windows over the border, which is mirrored.
   */
  MSSSIM_SMALL_REFLECT = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimSmall MsssimSmall;
#else
typedef uint32_t MsssimSmall;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The type of samples.
 */
enum MsssimSample
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * uint8_t
   */
  MSSSIM_SAMPLE_U8 = 0,
  /**
   * uint16_t
   */
  MSSSIM_SAMPLE_U16 = 1,
  /**
   * float
   */
  MSSSIM_SAMPLE_F32 = 2,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum MsssimSample MsssimSample;
#else
typedef uint32_t MsssimSample;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * A stream, at the beginning of its memory; the last rows of all scales follow it there.
 */
typedef struct MsssimStream MsssimStream;

/**
 * An image, wherever its samples lie: sample (i, j) of channel c, row i, column j, is number
 * `c * channel_stride + i * stride + j * step` from `samples` on.
 *
 * msssim_image fills it in for images without gaps.
 */
typedef struct MsssimImage {
  /**
   * The first sample.
   */
  const void *samples;
  /**
   * Samples, not bytes, that may be read.
   */
  size_t len;
  /**
   * One of MsssimSample.
   */
  uint32_t sample;
  /**
   * Columns.
   */
  size_t width;
  /**
   * Rows.
   */
  size_t height;
  /**
   * Channels, 1 to MSSSIM_MAX_CHANNELS.
   */
  size_t channels;
  /**
   * Samples from one row to the next.
   */
  size_t stride;
  /**
   * Samples from one column to the next, at least 1.
   */
  size_t step;
  /**
   * Samples from one channel to the next.
   */
  size_t channel_stride;
} MsssimImage;

/**
 * Everything that decides the number, beside the images.
 *
 * Let msssim_params_named fill it in and change what differs, data_range for instance. All zeros is not
 * a setting.
 */
typedef struct MsssimParams {
  /**
   * Exponents of the scales, the finest first, 0 to 1000; those beyond `scales` are ignored.
   */
  double weights[MSSSIM_MAX_SCALES];
  /**
   * Exponents of luminance where terms are apart, 0 to 1000.
   */
  double alpha[MSSSIM_MAX_SCALES];
  /**
   * Exponents of structure where terms are apart, 0 to 1000.
   */
  double gamma[MSSSIM_MAX_SCALES];
  /**
   * Standard deviation of the window in pixels, above 0 and at most 1000.
   */
  double sigma;
  /**
   * How much larger it is from scale to scale, 1 to 16.
   */
  double sigma_growth;
  /**
   * C1 = (k1 data_range)^2; 1e-4 to 1e4.
   */
  double k1;
  /**
   * C2 = (k2 data_range)^2; 1e-4 to 1e4.
   */
  double k2;
  /**
   * The value of white less that of black: 255 for 8-bit samples. 1e-20 to 1e20.
   */
  double data_range;
  /**
   * The bound of MSSSIM_NEGATIVE_LOWER_BOUND, above 0 and at most 1.
   */
  double lower_bound;
  /**
   * Number of scales, 1 to MSSSIM_MAX_SCALES.
   */
  uint32_t scales;
  /**
   * Taps on either side of the window's centre, 1 to MSSSIM_MAX_RADIUS.
   */
  uint32_t radius;
  /**
   * One of MsssimBorder.
   */
  uint32_t border;
  /**
   * One of MsssimBorder, on the coarsest scale.
   */
  uint32_t coarsest_border;
  /**
   * One of MsssimHalving.
   */
  uint32_t halving;
  /**
   * One of MsssimNegative.
   */
  uint32_t negative;
  /**
   * One of MsssimPooling.
   */
  uint32_t pooling;
  /**
   * One of MsssimTerms.
   */
  uint32_t terms;
  /**
   * One of MsssimChannels.
   */
  uint32_t channels;
} MsssimParams;

/**
 * The means of one scale, over its map and over the channels; NaN where the convention has no such mean.
 */
typedef struct MsssimMeans {
  /**
   * Contrast times structure.
   */
  double cs;
  /**
   * On the coarsest scale, luminance times contrast times structure.
   */
  double ssim;
  /**
   * Luminance, where terms are apart.
   */
  double luminance;
  /**
   * Contrast, where terms are apart.
   */
  double contrast;
  /**
   * Structure, where terms are apart.
   */
  double structure;
} MsssimMeans;

/**
 * What comparing two images gives.
 */
typedef struct MsssimScore {
  /**
   * MS-SSIM, at most 1, and exactly 1 for identical images; NaN where a sample is.
   */
  double value;
  /**
   * Number of scales.
   */
  uint32_t scales;
  /**
   * Their means, the finest first.
   */
  struct MsssimMeans means[MSSSIM_MAX_SCALES];
} MsssimScore;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * An image without gaps whose channels are interleaved, such as RGBRGB, or that has one.
 *
 * `samples` must be `width * height * channels` of type `sample`, one of MsssimSample. Nothing is checked
 * here.
 */
struct MsssimImage msssim_image(const void *samples,
                                uint32_t sample,
                                size_t width,
                                size_t height,
                                size_t channels);

/**
 * The name of a convention, counted from 0; null beyond the last.
 */
const char *msssim_params_name(size_t index);

/**
 * Writes the convention of a name, such as "wang-2003", to `*params`.
 *
 * MSSSIM_STATUS_UNKNOWN_NAME where there is none.
 *
 * # Safety
 * `name` is null or a string; `params` is null or can be written to.
 */
MsssimStatus msssim_params_named(const char *name, struct MsssimParams *params);

/**
 * Checks parameters for images of a size, and says in words what is wrong.
 *
 * `message` receives at most `len` bytes, the last of them 0: "ok", or the fault and what it must be. It
 * may be null where `len` is 0.
 *
 * # Safety
 * `params` is null or readable; `len` bytes from `message` on can be written to.
 */
MsssimStatus msssim_params_check(const struct MsssimParams *params,
                                 size_t width,
                                 size_t height,
                                 char *message,
                                 size_t len);

/**
 * Writes the smallest side that images may have to `*side`.
 *
 * # Safety
 * `params` is null or readable; `side` is null or can be written to.
 */
MsssimStatus msssim_params_smallest_side(const struct MsssimParams *params, size_t *side);

/**
 * Changes parameters by a rule, one of MsssimSmall, where images of this size are too small for them.
 *
 * # Safety
 * `params` is null or can be read and written to.
 */
MsssimStatus msssim_params_fit(struct MsssimParams *params, size_t width, size_t height, uint32_t rule);

/**
 * Writes the number of floats of scratch that msssim_score needs to `*len`.
 *
 * # Safety
 * `params` is null or readable; `len` is null or can be written to.
 */
MsssimStatus msssim_scratch_len(const struct MsssimParams *params, size_t width, size_t height, size_t *len);

/**
 * Writes the number of floats of scratch that msssim_score_and_gradient needs to `*len`.
 *
 * # Safety
 * `params` is null or readable; `len` is null or can be written to.
 */
MsssimStatus msssim_gradient_scratch_len(const struct MsssimParams *params,
                                         size_t width,
                                         size_t height,
                                         size_t *len);

/**
 * Writes the score of `distorted` against `reference` to `*score`.
 *
 * `scratch` is `scratch_len` floats, as many as msssim_scratch_len says or more, for this call alone; what
 * they hold does not matter. Both images have samples of one type.
 *
 * # Safety
 * Pointers are null or to what their types say, and so are those of the images. Nothing else writes there
 * meanwhile.
 */
MsssimStatus msssim_score(const struct MsssimParams *params,
                          const struct MsssimImage *reference,
                          const struct MsssimImage *distorted,
                          float *scratch,
                          size_t scratch_len,
                          struct MsssimScore *score);

/**
 * Writes the score to `*score`, and its gradient by the samples of `distorted` to `gradient`: channel after
 * channel, rows without gaps, `width * height * channels` floats of `gradient_len`.
 *
 * A float of it is the change of the score per unit of that sample. With the two images exchanged it is
 * the gradient by `reference`. `scratch` is as in msssim_score, by msssim_gradient_scratch_len.
 *
 * # Safety
 * Pointers are null or to what their types say, and so are those of the images. Nothing else writes there
 * meanwhile.
 */
MsssimStatus msssim_score_and_gradient(const struct MsssimParams *params,
                                       const struct MsssimImage *reference,
                                       const struct MsssimImage *distorted,
                                       float *gradient,
                                       size_t gradient_len,
                                       float *scratch,
                                       size_t scratch_len,
                                       struct MsssimScore *score);

/**
 * A status in words, in English, for ever; of any other number too.
 */
const char *msssim_status_string(uint32_t status);

/**
 * The version of this library, such as "0.1.0".
 */
const char *msssim_version(void);

/**
 * Writes the number of bytes that a stream needs to `*bytes`.
 *
 * MSSSIM_STREAM_BYTES(width) is a constant that is large enough.
 *
 * # Safety
 * `params` is null or readable; `bytes` is null or can be written to.
 */
MsssimStatus msssim_stream_bytes(const struct MsssimParams *params,
                                 size_t width,
                                 size_t height,
                                 size_t *bytes);

/**
 * Makes a stream for one channel of images of a size, in memory that becomes its own, and writes it to
 * `*stream`; null where it fails.
 *
 * `memory` is `bytes` bytes, as many as msssim_stream_bytes says or more, aligned to MSSSIM_STREAM_ALIGN.
 * There is nothing to be released. The stream must not be copied or moved.
 *
 * # Safety
 * Pointers are null or to what their types say; nothing but this stream uses the memory from now on.
 */
MsssimStatus msssim_stream_init(void *memory,
                                size_t bytes,
                                const struct MsssimParams *params,
                                size_t width,
                                size_t height,
                                struct MsssimStream **stream);

/**
 * Takes the next rows of both images, as many as the two of one size here have; each has one channel and
 * the width of the stream's images.
 *
 * # Safety
 * Pointers are null or to what their types say, and so are those of the images.
 */
MsssimStatus msssim_stream_push(struct MsssimStream *stream,
                                const struct MsssimImage *reference,
                                const struct MsssimImage *distorted);

/**
 * Rows that have arrived; 0 of what is not a stream.
 *
 * # Safety
 * `stream` is null or from msssim_stream_init.
 */
size_t msssim_stream_rows(const struct MsssimStream *stream);

/**
 * Writes the score to `*score`, once all rows have arrived.
 *
 * # Safety
 * `stream` is null or from msssim_stream_init; `score` is null or can be written to.
 */
MsssimStatus msssim_stream_score(const struct MsssimStream *stream, struct MsssimScore *score);

/**
 * Forgets all rows, for the next pair of images.
 *
 * # Safety
 * `stream` is null or from msssim_stream_init.
 */
MsssimStatus msssim_stream_restart(struct MsssimStream *stream);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* MSSSIM_H */
