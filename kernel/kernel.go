// Package kernel is where kernels come from and how they are read.
//
// # Sources
//
//   - A universal kernel, built from a Debian linux-source package and the
//     fragments in this folder: one file without modules that boots on KVM, Xen,
//     EC2, VMware and Hyper-V. [Fragments] and [Merge] say what is asked for,
//     [Build] makes it, and every symbol that was asked for is compared with
//     what kconfig made of it ([Check]): kconfig drops renamed symbols and
//     unmet dependencies without a word.
//   - A distribution's package, Debian's or an RPM, with an initramfs that loads
//     its modules: the sub-packages packaged and rpm.
//   - A file of the user's, which [Identify] reads before anything trusts it.
//
// # Sinks
//
// Disks take the bzImage; direct boots by PVH take the ELF, which
// [ExtractELF] unpacks from any bzImage.
//
// # The same bits everywhere
//
// [Build] compiles inside the source tree, so that the compiler sees relative
// paths only, in an environment of its own, and with a fixed user, host, date
// and build number. What remains is the compiler, the linker and the
// compressor: [CompilerID] names their versions, for the stage's key.
package kernel
