# SPDX-License-Identifier: BSD-3-Clause OR Apache-2.0
# A toolchain for s390x on Debian: big-endian, where endian mistakes show.
# Programs run under qemu-s390x (VMMEM_TEST_WRAPPER).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_C_COMPILER s390x-linux-gnu-gcc)
set(CMAKE_LIBRARY_ARCHITECTURE s390x-linux-gnu)
set(ENV{PKG_CONFIG_LIBDIR}
	/usr/lib/s390x-linux-gnu/pkgconfig:/usr/share/pkgconfig)
