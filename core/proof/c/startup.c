/*
 * What a Cortex-M4 runs from reset to main: the floating-point unit is switched on, and newlib does the rest,
 * with the debugger's connection (semihosting) as its input and output.
 */
#include <stdint.h>

extern void _start(void);
extern uint32_t stack_top;

static void reset(void)
{
    /* Coprocessor access control: full access to 10 and 11. */
    *(volatile uint32_t *)0xE000ED88u |= 0xFu << 20;
    __asm__ volatile("dsb\n\tisb");
    _start();
    for (;;) { }
}

/* A fault ends the emulation with a failure: semihosting's SYS_EXIT with no reason of success. */
static void fault(void)
{
    __asm__ volatile("mov r0, #0x18\n\tmov r1, #0\n\tbkpt #0xAB");
    for (;;) { }
}

/* The first entry is the stack's end, the others are handlers. */
union vector {
    uint32_t *stack;
    void (*handler)(void);
};

__attribute__((section(".vectors"), used)) static const union vector vectors[16] = {
    {.stack = &stack_top}, {.handler = reset}, {.handler = fault}, {.handler = fault},
    {.handler = fault},    {.handler = fault}, {.handler = fault},
};
