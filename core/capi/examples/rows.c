/*
 * Scores images that arrive by rows, as from a camera or a decoder, without a heap: 192 columns here.
 *
 * On a microcontroller, where core/proof/run.sh runs it, and on any other machine:
 *
 *     cargo build --release -p msssim-capi
 *     cc -I core/capi/include core/capi/examples/rows.c target/release/libmsssim.a -lm -lpthread -ldl
 */
#include <msssim.h>
#include <stdio.h>

enum { WIDTH = 192, HEIGHT = 192 };

static uint64_t memory[MSSSIM_STREAM_BYTES(WIDTH) / 8];

/* Stands for the camera: a row of the original, and of what the codec made of it. */
static void next_rows(int row, uint8_t original[WIDTH], uint8_t decoded[WIDTH])
{
    int column;
    for (column = 0; column < WIDTH; column++) {
        original[column] = (uint8_t)(row * column / 16 + 3 * row);
        decoded[column] = original[column] & 0xf0;
    }
}

int main(void)
{
    MsssimParams params;
    MsssimStream *stream;
    MsssimScore score;
    MsssimStatus status = msssim_params_named("wang-2003", &params);
    int row;

    if (status == MSSSIM_STATUS_OK)
        status = msssim_stream_init(memory, sizeof memory, &params, WIDTH, HEIGHT, &stream);
    for (row = 0; row < HEIGHT && status == MSSSIM_STATUS_OK; row++) {
        uint8_t original[WIDTH], decoded[WIDTH];
        MsssimImage x = msssim_image(original, MSSSIM_SAMPLE_U8, WIDTH, 1, 1);
        MsssimImage y = msssim_image(decoded, MSSSIM_SAMPLE_U8, WIDTH, 1, 1);
        next_rows(row, original, decoded);
        status = msssim_stream_push(stream, &x, &y);
    }
    if (status == MSSSIM_STATUS_OK)
        status = msssim_stream_score(stream, &score);
    if (status != MSSSIM_STATUS_OK) {
        printf("%s\n", msssim_status_string(status));
        return 1;
    }
    printf("%.6f\n", score.value);
    return 0;
}
