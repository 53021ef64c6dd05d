# The canary guest: a boot sector that goes from real mode to long mode and
# executes what broken virtualisation was seen to fail on. It says 42 to
# isa-debug-exit at port 0xf4 when all went well, 13 when something was wrong.
# canary.go holds the same instructions as bytes; a test compares them.

        .code16
start:  cli
        cld
        xorl    %eax, %eax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movw    $0x7c00, %sp
        movw    $0x1000, %di            # zero 0x1000-0x6fff
        movw    $0x1800, %cx
        rep stosl
        movl    $0x2003, 0x1000         # PML4 -> PDPT
        movl    $0x3003, 0x2000         # PDPT -> PD
        movl    $0x0083, 0x3000         # PD: 2 MiB, identity
        lgdtw   gdtr
        movl    $0x620, %eax            # PAE, OSFXSR, OSXMMEXCPT
        movl    %eax, %cr4
        movl    $0x1000, %eax
        movl    %eax, %cr3
        movl    $0xc0000080, %ecx       # EFER.LME
        rdmsr
        orl     $0x100, %eax
        wrmsr
        movl    $0x80000033, %eax       # PG, NE, ET, MP, PE
        movl    %eax, %cr0
        ljmpw   $0x08, $long

        .code64
long:   movl    $0x7c00, %esp
        movabs  $0x00008e0000080000 + breakpoint, %rax
        movq    %rax, 0x4030            # vector 3 of the IDT at 0x4000
        lidt    idtr
        xorl    %ebp, %ebp
        int3
        movl    $1, %eax
        cpuid
        movl    %ecx, %esi
        movb    $13, %al
        cmpl    $1, %ebp
        jne     exit

        btl     $13, %esi               # CX16
        jnc     noCX16
        xorl    %eax, %eax
        xorl    %edx, %edx
        movl    $1, %ebx
        xorl    %ecx, %ecx
        lock cmpxchg16b 0x5000
        movb    $13, %al
        jnz     exit
        cmpl    $1, 0x5000
        jne     exit

noCX16: btl     $26, %esi               # XSAVE
        jnc     noXSAVE
        movl    $0x40620, %eax          # OSXSAVE too
        movq    %rax, %cr4
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        movl    $3, %eax                # x87, SSE
        xsetbv
        xsave64 0x6000
        xrstor64 0x6000

noXSAVE:
        movb    $42, %al
exit:   outb    %al, $0xf4
stop:   hlt
        jmp     stop

breakpoint:
        incl    %ebp
        iretq

gdtr:   .word   23
        .long   gdt
idtr:   .word   0x3f
        .quad   0x4000
        .balign 8
gdt:    .quad   0
        .quad   0x00af9a000000ffff      # code, 64 bit
        .quad   0x00cf92000000ffff      # data
