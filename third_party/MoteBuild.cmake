# SPDX-License-Identifier: Apache-2.0
# How every target of the project is compiled, and the functions that declare them.

add_library(mote_options INTERFACE)
target_compile_definitions(mote_options INTERFACE _GNU_SOURCE)
# The public headers are <mote/…> for their users, in the tree as when they are installed.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/include)
file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/include/mote SYMBOLIC)
target_include_directories(mote_options INTERFACE ${CMAKE_SOURCE_DIR}/src ${CMAKE_BINARY_DIR}/include)
target_compile_options(mote_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -fno-common
  $<$<BOOL:${MOTE_WERROR}>:-Werror>)
if(MOTE_SANITIZE)
  target_compile_options(mote_options INTERFACE -fsanitize=${MOTE_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(mote_options INTERFACE -fsanitize=${MOTE_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  # Hardening belongs to what is shipped; the sanitizers replace it in the test builds.
  target_compile_options(mote_options INTERFACE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
  # Padding in front of loops and jumps buys nothing here: the loops that matter are in the libraries.
  target_compile_options(mote_options INTERFACE -fno-align-loops -fno-align-jumps -fno-align-labels)
  # With machine code in them beside what link-time optimisation reads, they are good for any compiler's users.
  target_compile_options(mote_options INTERFACE $<$<C_COMPILER_ID:GNU>:-ffat-lto-objects>)
  target_link_options(mote_options INTERFACE -pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
endif()
if(MOTE_STATIC)
  # The program tells neither where it was built nor anything that debuggers would read, and is the same wherever that was.
  # The linker warns that getaddrinfo, getpwnam and their like need libc.so for other sources than files and DNS: main.c has them
  # ask no others.
  target_compile_definitions(mote_options INTERFACE MOTE_STATIC)
  target_compile_options(mote_options INTERFACE -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
  target_link_options(mote_options INTERFACE -static-pie -Wl,--gc-sections -s)
endif()
if(MOTE_COVERAGE)
  target_compile_options(mote_options INTERFACE --coverage)
  target_link_options(mote_options INTERFACE --coverage)
endif()

# mote_layer(<name> PUBLIC … SOURCES … HOT … USES <layers…> LIBRARIES <third-party names…>): one static library a folder.
# PUBLIC are the headers that users of the library may include; they name each other relatively, so that they do where they are installed.
# HOT are those of its sources that every call runs through. A release compiles them for speed and the others for size, which is a
# sixth of the program (docs/performance.md). Without HOT all are compiled for speed.
function(mote_layer name)
  cmake_parse_arguments(arg "" "" "PUBLIC;SOURCES;HOT;USES;LIBRARIES" ${ARGN})
  add_library(mote_${name} STATIC ${arg_SOURCES})
  if(arg_HOT)
    set(cold ${arg_SOURCES})
    list(REMOVE_ITEM cold ${arg_HOT})
    set_source_files_properties(${cold} PROPERTIES COMPILE_OPTIONS "$<$<CONFIG:Release>:-Oz>")
  endif()
  foreach(header ${arg_PUBLIC})
    set_property(GLOBAL APPEND PROPERTY MOTE_PUBLIC_HEADERS ${name}/${header})
  endforeach()
  target_link_libraries(mote_${name} PUBLIC mote_options)
  foreach(layer ${arg_USES})
    target_link_libraries(mote_${name} PUBLIC mote_${layer})
  endforeach()
  foreach(library ${arg_LIBRARIES})
    target_link_libraries(mote_${name} PRIVATE mote::lib::${library})
  endforeach()
endfunction()
