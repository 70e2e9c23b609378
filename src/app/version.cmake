# SPDX-License-Identifier: Apache-2.0
# Writes mote_version.h, run at every build: the commit changes without CMake noticing. It writes the file only when it
# changes, so that nothing is compiled anew without need.
set(revision "${REVISION}")
find_program(git git)
if(git AND NOT revision)
  execute_process(COMMAND ${git} describe --always --dirty --abbrev=7 --exclude=*
    WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
set(bare "${revision}")
if(revision)
  set(revision "git ${revision}, ")
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT [[
/* Written by src/app/version.cmake. */
#define MOTE_VERSION         "@VERSION@"
#define MOTE_VERSION_GIT     "@revision@"
#define MOTE_VERSION_BARE    "@bare@"
#define MOTE_VERSION_LIBUV   "@LIBUV@"
#define MOTE_VERSION_NGHTTP2 "@NGHTTP2@"
#define MOTE_VERSION_MBEDTLS "@MBEDTLS@"
#define MOTE_VERSION_NANOPB  "@NANOPB@"
#define MOTE_VERSION_SQLITE  "@SQLITE@"
]] @ONLY)
