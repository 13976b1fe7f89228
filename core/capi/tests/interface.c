/*
 * The C interface from C: scores of images that both sides make, and every status that can be provoked.
 *
 * Prints `name bits` for each number; tests/interface.rs computes the same with Rust's interface and compares
 * the lines, and core/proof/run.sh those of a microcontroller. Exits with 1 where an expectation fails.
 */
#include <math.h>
#include <msssim.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 173, HEIGHT = 181, AREA = WIDTH * HEIGHT };

static uint8_t x8[3 * AREA], y8[3 * AREA];
static uint16_t x16[AREA], y16[AREA];
static float xf[AREA], yf[AREA];
static float scratch[21 * AREA], gradient[3 * AREA];
static uint64_t memory[MSSSIM_STREAM_BYTES(WIDTH) / 8];
static int failures;

#define EXPECT(condition)                                                 \
    do {                                                                  \
        if (!(condition)) {                                               \
            printf("interface.c:%d: not %s\n", __LINE__, #condition);    \
            failures++;                                                   \
        }                                                                 \
    } while (0)
#define GIVES(status, call) EXPECT((call) == MSSSIM_STATUS_##status)

static void show(const char *name, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    printf("%s %08lx%08lx\n", name, (unsigned long)(bits >> 32), (unsigned long)(bits & 0xffffffff));
}

static void show_all(const char *name, const float *values, size_t len)
{
    uint32_t hash = 2166136261u;
    size_t i;
    for (i = 0; i < len; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        hash = (hash ^ bits) * 16777619u;
    }
    printf("%s %08lx\n", name, (unsigned long)hash);
}

/* Diagonal waves, and the same with noise from a linear congruential generator. */
static void make_images(void)
{
    uint32_t state = 1;
    size_t i;
    for (i = 0; i < 3 * AREA; i++) {
        uint32_t row = (uint32_t)(i / WIDTH), column = (uint32_t)(i % WIDTH), noise;
        int value;
        state = state * 1664525u + 1013904223u;
        noise = state >> 27;
        x8[i] = (uint8_t)((row * column / 16 + 3 * row + 5 * column) % 251);
        value = (int)x8[i] + (int)noise - 16;
        y8[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    for (i = 0; i < AREA; i++) {
        x16[i] = (uint16_t)(x8[i] * 257);
        y16[i] = (uint16_t)(y8[i] * 257);
        xf[i] = x8[i];
        yf[i] = y8[i];
    }
}

static void conventions(void)
{
    MsssimImage x = msssim_image(x8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 1);
    MsssimImage y = msssim_image(y8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 1);
    size_t i;
    for (i = 0; msssim_params_name(i); i++) {
        const char *name = msssim_params_name(i);
        MsssimParams params;
        MsssimScore score;
        MsssimStream *stream = NULL;
        MsssimStatus status;
        size_t bytes = 0, side = 0;
        GIVES(OK, msssim_params_named(name, &params));
        GIVES(OK, msssim_params_smallest_side(&params, &side));
        if (side > WIDTH) /* 176 where sides are rounded down */
            GIVES(OK, msssim_params_fit(&params, WIDTH, HEIGHT, MSSSIM_SMALL_FEWER_SCALES));
        GIVES(OK, msssim_score(&params, &x, &y, scratch, sizeof scratch / sizeof *scratch, &score));
        show(name, score.value);

        /* The same by rows: first one, then five at a time. */
        status = msssim_stream_bytes(&params, WIDTH, HEIGHT, &bytes);
        if (status == MSSSIM_STATUS_PARAMETER)
            continue; /* products pixel by pixel, channels together */
        EXPECT(status == MSSSIM_STATUS_OK && bytes <= sizeof memory);
        GIVES(OK, msssim_stream_init(memory, sizeof memory, &params, WIDTH, HEIGHT, &stream));
        while (msssim_stream_rows(stream) < HEIGHT) {
            size_t row = msssim_stream_rows(stream), rows = row ? 5 : 1;
            MsssimImage a = msssim_image(x8 + row * WIDTH, MSSSIM_SAMPLE_U8, WIDTH, rows, 1);
            MsssimImage b = msssim_image(y8 + row * WIDTH, MSSSIM_SAMPLE_U8, WIDTH, rows, 1);
            MsssimScore early;
            GIVES(MISSING_ROWS, msssim_stream_score(stream, &early));
            status = msssim_stream_push(stream, &a, &b);
            EXPECT(status == MSSSIM_STATUS_OK);
            if (status != MSSSIM_STATUS_OK)
                return;
        }
        {
            MsssimScore streamed;
            GIVES(OK, msssim_stream_score(stream, &streamed));
            EXPECT(memcmp(&streamed.value, &score.value, sizeof score.value) == 0);
            EXPECT(streamed.scales == score.scales);
            EXPECT(memcmp(streamed.means, score.means, sizeof score.means) == 0);
            GIVES(SIZE_MISMATCH, msssim_stream_push(stream, &x, &y));
            GIVES(OK, msssim_stream_restart(stream));
            EXPECT(msssim_stream_rows(stream) == 0);
            GIVES(OK, msssim_stream_push(stream, &x, &y));
            GIVES(OK, msssim_stream_score(stream, &streamed));
            EXPECT(memcmp(&streamed.value, &score.value, sizeof score.value) == 0);
        }
    }
    EXPECT(i > 0);
}

static void layouts(void)
{
    const size_t len = sizeof scratch / sizeof *scratch;
    MsssimParams params;
    MsssimScore score, other;
    MsssimImage x, y;
    size_t needed = 0;
    GIVES(OK, msssim_params_named("wang-2003", &params));

    /* Types. */
    x = msssim_image(xf, MSSSIM_SAMPLE_F32, WIDTH, HEIGHT, 1);
    y = msssim_image(yf, MSSSIM_SAMPLE_F32, WIDTH, HEIGHT, 1);
    GIVES(OK, msssim_score(&params, &x, &y, scratch, len, &score));
    show("f32", score.value);
    x = msssim_image(x16, MSSSIM_SAMPLE_U16, WIDTH, HEIGHT, 1);
    y = msssim_image(y16, MSSSIM_SAMPLE_U16, WIDTH, HEIGHT, 1);
    params.data_range = 65535;
    GIVES(OK, msssim_score(&params, &x, &y, scratch, len, &other));
    show("u16", other.value);
    EXPECT(fabs(score.value - other.value) < 1e-6);
    params.data_range = 255;

    /* Identical images. */
    x = msssim_image(x8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 1);
    GIVES(OK, msssim_score(&params, &x, &x, scratch, len, &score));
    EXPECT(score.value == 1.0 && score.scales == 5 && score.means[4].ssim == 1.0);
    EXPECT(isnan(score.means[0].ssim) && isnan(score.means[0].luminance));

    /* Three channels, interleaved; the gradient is planar. */
    GIVES(OK, msssim_params_named("snell-2017", &params));
    x = msssim_image(x8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 3);
    y = msssim_image(y8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 3);
    GIVES(OK, msssim_gradient_scratch_len(&params, WIDTH, HEIGHT, &needed));
    EXPECT(needed <= len);
    memset(gradient, 0xff, sizeof gradient);
    memset(scratch, 0xff, sizeof scratch);
    GIVES(OK, msssim_score_and_gradient(&params, &x, &y, gradient, 3 * AREA, scratch, needed, &score));
    show("rgb", score.value);
    show_all("rgb-gradient", gradient, 3 * AREA);
    GIVES(SHORT_MEMORY,
          msssim_score_and_gradient(&params, &x, &y, gradient, 3 * AREA, scratch, needed - 1, &score));
    GIVES(SHORT_MEMORY,
          msssim_score_and_gradient(&params, &x, &y, gradient, 3 * AREA - 1, scratch, needed, &score));

    /* One of the three, where it lies; and the last row need not have what is between rows. */
    x.channels = y.channels = 1;
    x.samples = x8 + 1;
    y.samples = y8 + 1;
    x.len = y.len = 3 * AREA - 2;
    GIVES(OK, msssim_score(&params, &x, &y, scratch, len, &score));
    show("green", score.value);
    x.len = 3 * AREA - 3;
    GIVES(SHORT_IMAGE, msssim_score(&params, &x, &y, scratch, len, &score));
}

static void faults(void)
{
    const size_t len = sizeof scratch / sizeof *scratch;
    MsssimParams params, bad;
    MsssimScore score;
    MsssimStream *stream = (MsssimStream *)memory;
    MsssimImage x = msssim_image(x8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 1), y = x, z;
    char message[100];
    size_t needed = 0, bytes = 0;

    GIVES(UNKNOWN_NAME, msssim_params_named("wang", &params));
    GIVES(NULL, msssim_params_named(NULL, &params));
    GIVES(NULL, msssim_params_named("wang-2003", NULL));
    GIVES(OK, msssim_params_named("wang-2003", &params));
    GIVES(OK, msssim_scratch_len(&params, WIDTH, HEIGHT, &needed));
    GIVES(OK, msssim_score(&params, &x, &y, scratch, needed, &score));

    GIVES(NULL, msssim_scratch_len(NULL, WIDTH, HEIGHT, &needed));
    GIVES(NULL, msssim_scratch_len(&params, WIDTH, HEIGHT, NULL));
    GIVES(NULL, msssim_score(NULL, &x, &y, scratch, len, &score));
    GIVES(NULL, msssim_score(&params, NULL, &y, scratch, len, &score));
    GIVES(NULL, msssim_score(&params, &x, NULL, scratch, len, &score));
    GIVES(NULL, msssim_score(&params, &x, &y, NULL, len, &score));
    GIVES(SHORT_MEMORY, msssim_score(&params, &x, &y, NULL, 0, &score));
    GIVES(NULL, msssim_score(&params, &x, &y, scratch, len, NULL));
    GIVES(SHORT_MEMORY, msssim_score(&params, &x, &y, scratch, needed - 1, &score));
    GIVES(TOO_LARGE, msssim_score(&params, &x, &y, scratch, (size_t)-1, &score));
    GIVES(MISALIGNED, msssim_score(&params, &x, &y, (float *)(void *)((char *)scratch + 1), needed, &score));
    GIVES(OVERLAP, msssim_score(&params, &x, &y, (float *)(void *)memory, 1000, (MsssimScore *)(void *)(memory + 2)));
    GIVES(OVERLAP, msssim_score_and_gradient(&params, &x, &y, scratch, AREA, scratch, len, &score));
    z = msssim_image(scratch, MSSSIM_SAMPLE_F32, WIDTH, HEIGHT, 1);
    GIVES(OVERLAP, msssim_score(&params, &z, &z, scratch, len, &score));

    z = x;
    z.samples = NULL;
    GIVES(NULL, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.sample = 3;
    GIVES(SAMPLE_TYPE, msssim_score(&params, &z, &y, scratch, len, &score));
    z = msssim_image(x16, MSSSIM_SAMPLE_U16, WIDTH, HEIGHT, 1);
    GIVES(SAMPLE_TYPE, msssim_score(&params, &z, &y, scratch, len, &score));
    z.samples = (char *)x16 + 1;
    GIVES(MISALIGNED, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.width--;
    GIVES(SIZE_MISMATCH, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.stride = WIDTH - 1;
    GIVES(SHORT_STRIDE, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.step = 0;
    GIVES(SHORT_STRIDE, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.len--;
    GIVES(SHORT_IMAGE, msssim_score(&params, &z, &y, scratch, len, &score));
    z = x;
    z.channels = 0;
    GIVES(CHANNEL_MISMATCH, msssim_score(&params, &z, &z, scratch, len, &score));
    z.channels = MSSSIM_MAX_CHANNELS + 1;
    GIVES(CHANNEL_MISMATCH, msssim_score(&params, &z, &z, scratch, len, &score));
    z.channels = 2;
    GIVES(CHANNEL_MISMATCH, msssim_score(&params, &z, &y, scratch, len, &score));
    z.channel_stride = (size_t)-1 / 2 + 1;
    GIVES(SHORT_IMAGE, msssim_score(&params, &z, &z, scratch, len, &score));
    z = msssim_image(x8, MSSSIM_SAMPLE_U8, (size_t)-1, (size_t)-1, 4);
    GIVES(TOO_LARGE, msssim_score(&params, &z, &z, scratch, len, &score));
    z = msssim_image(x8, MSSSIM_SAMPLE_U8, 160, HEIGHT, 1);
    GIVES(TOO_SMALL, msssim_score(&params, &z, &z, scratch, len, &score));
    z = msssim_image(x8, MSSSIM_SAMPLE_U8, 0, 0, 1);
    GIVES(TOO_SMALL, msssim_score(&params, &z, &z, scratch, len, &score));
    GIVES(TOO_LARGE, msssim_scratch_len(&params, (size_t)-1, (size_t)-1, &needed));

    /* Parameters, and what is said of them. */
    GIVES(OK, msssim_params_check(&params, WIDTH, HEIGHT, message, sizeof message));
    EXPECT(strcmp(message, "ok") == 0);
    GIVES(OK, msssim_params_check(&params, WIDTH, HEIGHT, NULL, 0));
    GIVES(NULL, msssim_params_check(&params, WIDTH, HEIGHT, NULL, 1));
    GIVES(TOO_SMALL, msssim_params_check(&params, 160, HEIGHT, message, 17));
    EXPECT(strcmp(message, "image of 160 x 1") == 0);
    bad = params;
    bad.sigma = 0;
    GIVES(PARAMETER, msssim_params_check(&bad, WIDTH, HEIGHT, message, sizeof message));
    EXPECT(strcmp(message, "parameter sigma must be above 0 and at most 1000") == 0);
    bad = params;
    bad.halving = 6;
    GIVES(PARAMETER, msssim_params_check(&bad, WIDTH, HEIGHT, message, sizeof message));
    EXPECT(strcmp(message, "parameter halving must be of MsssimHalving") == 0);
    bad = params;
    bad.scales = 0xffffffff;
    GIVES(PARAMETER, msssim_score(&bad, &x, &y, scratch, len, &score));
    GIVES(PARAMETER, msssim_params_smallest_side(&bad, &bytes));
    GIVES(PARAMETER, msssim_params_fit(&bad, 20, 20, MSSSIM_SMALL_FEWER_SCALES));
    GIVES(PARAMETER, msssim_stream_bytes(&bad, WIDTH, HEIGHT, &bytes));
    memset(&bad, 0, sizeof bad);
    GIVES(PARAMETER, msssim_score(&bad, &x, &y, scratch, len, &score));
    bad = params;
    GIVES(PARAMETER, msssim_params_fit(&bad, 20, 20, 7));
    GIVES(OK, msssim_params_fit(&bad, 20, 20, MSSSIM_SMALL_REFLECT));
    EXPECT(bad.border == MSSSIM_BORDER_REFLECT && bad.coarsest_border == MSSSIM_BORDER_SAME);

    /* Streams. */
    memset(memory, 0xff, sizeof memory);
    EXPECT(msssim_stream_rows(NULL) == 0 && msssim_stream_rows(stream) == 0);
    GIVES(NOT_A_STREAM, msssim_stream_push(stream, &x, &y));
    GIVES(NOT_A_STREAM, msssim_stream_restart(stream));
    GIVES(NOT_A_STREAM, msssim_stream_score(stream, &score));
    GIVES(NULL, msssim_stream_restart(NULL));
    GIVES(OK, msssim_stream_bytes(&params, WIDTH, HEIGHT, &bytes));
    GIVES(SHORT_MEMORY, msssim_stream_init(memory, bytes - 1, &params, WIDTH, HEIGHT, &stream));
    EXPECT(stream == NULL);
    GIVES(NULL, msssim_stream_init(NULL, bytes, &params, WIDTH, HEIGHT, &stream));
    GIVES(NULL, msssim_stream_init(memory, bytes, NULL, WIDTH, HEIGHT, &stream));
    GIVES(NULL, msssim_stream_init(memory, bytes, &params, WIDTH, HEIGHT, NULL));
    GIVES(MISALIGNED, msssim_stream_init((char *)memory + 4, bytes, &params, WIDTH, HEIGHT, &stream));
    GIVES(OVERLAP, msssim_stream_init(memory, bytes, (MsssimParams *)(void *)(memory + 8), WIDTH, HEIGHT, &stream));
    GIVES(TOO_SMALL, msssim_stream_init(memory, bytes, &params, 160, HEIGHT, &stream));
    GIVES(OK, msssim_stream_init(memory, bytes, &params, WIDTH, HEIGHT, &stream));
    z = x;
    z.height = 2;
    y = x;
    y.height = 1;
    GIVES(SIZE_MISMATCH, msssim_stream_push(stream, &z, &y));
    z = x;
    z.channels = 2;
    z.len = 2;
    GIVES(SHORT_IMAGE, msssim_stream_push(stream, &z, &z));
    z = msssim_image(x8, MSSSIM_SAMPLE_U8, WIDTH, HEIGHT, 3);
    GIVES(CHANNEL_MISMATCH, msssim_stream_push(stream, &z, &z));
    z = msssim_image(memory, MSSSIM_SAMPLE_U8, WIDTH, 1, 1);
    GIVES(OVERLAP, msssim_stream_push(stream, &z, &z));
    EXPECT(msssim_stream_rows(stream) == 0);
    GIVES(OVERLAP, msssim_stream_score(stream, (MsssimScore *)(void *)stream));

    EXPECT(strcmp(msssim_status_string(MSSSIM_STATUS_OK), "ok") == 0);
    EXPECT(strcmp(msssim_status_string(MSSSIM_STATUS_OTHER), "another error") == 0);
    EXPECT(strcmp(msssim_status_string(9999), "not a status") == 0);
    EXPECT(strchr(msssim_version(), '.') != NULL);
}

int main(void)
{
    make_images();
    conventions();
    layouts();
    faults();
    printf("%d expectations failed\n", failures);
    return failures != 0;
}
