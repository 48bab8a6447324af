/* The file that PAYLOAD names, as bytes of the program: from `payload` to `payload_end`. */

#ifdef __APPLE__
#define NAME(name) _##name
.section __TEXT,__dunena
#else
#define NAME(name) name
.section .dunena, "a", %progbits
#endif

.globl NAME(payload)
.globl NAME(payload_end)
.p2align 4
NAME(payload):
.incbin PAYLOAD
NAME(payload_end):
.byte 0

#ifndef __APPLE__
.section .note.GNU-stack, "", %progbits
#endif
