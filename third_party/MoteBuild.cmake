# SPDX-License-Identifier: Apache-2.0
# How every target of the project is compiled, and the functions that declare them.

add_library(mote_options INTERFACE)
target_compile_definitions(mote_options INTERFACE _GNU_SOURCE)
target_include_directories(mote_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(mote_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -fno-common
  $<$<BOOL:${MOTE_WERROR}>:-Werror>)
if(MOTE_SANITIZE)
  target_compile_options(mote_options INTERFACE -fsanitize=${MOTE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(mote_options INTERFACE -fsanitize=${MOTE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  # Hardening belongs to what is shipped; the sanitizers replace it in the test builds.
  target_compile_options(mote_options INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  target_link_options(mote_options INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
if(MOTE_COVERAGE)
  target_compile_options(mote_options INTERFACE --coverage)
  target_link_options(mote_options INTERFACE --coverage)
endif()

# mote_layer(<name> SOURCES … USES <layers…> LIBRARIES <third-party names…>): one static library a folder.
function(mote_layer name)
  cmake_parse_arguments(arg "" "" "SOURCES;USES;LIBRARIES" ${ARGN})
  add_library(mote_${name} STATIC ${arg_SOURCES})
  target_link_libraries(mote_${name} PUBLIC mote_options)
  foreach(layer ${arg_USES})
    target_link_libraries(mote_${name} PUBLIC mote_${layer})
  endforeach()
  foreach(library ${arg_LIBRARIES})
    target_link_libraries(mote_${name} PRIVATE mote::lib::${library})
  endforeach()
endfunction()
