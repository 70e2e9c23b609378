# SPDX-License-Identifier: Apache-2.0
# mote_proto_library(<target> PROTOS <files…> [USES <targets…>] [IMPORT_DIRS <dirs…>] [REQUEST_MAX <bytes>]
#                    [REFUSED <methods…>] [PREPARE <methods…>])
#
# Makes C of .proto files, by nanopb and protoc-gen-mote. PROTOS are paths from the current folder, or from one of
# IMPORT_DIRS, as import lines write them; the headers are included as "<path>.pb.h" and "<path>.mote.h". The bounds
# of strings and lists stand in a file `<path>.options`; what has none there is an error. USES are other such libraries
# that the files import from. REQUEST_MAX bounds a request message of these services, if not the server's bound applies.
# REFUSED are client streams ("package.Service.Method") that go on after a message that breaks a bound of its fields,
# PREPARE methods whose requests are given decode callbacks.
#
# <target>          a static library: structs, message types, files for reflection, methods for clients
# <target>_service  an object library, where a file has services: their tables; links only with the handlers

find_program(MOTE_PROTOC protoc REQUIRED)
find_program(MOTE_PROTOC_GEN_NANOPB protoc-gen-nanopb REQUIRED)
# Whoever includes this file says where the plugin is, and which library has the codec: MOTE_PROTOC_GEN_MOTE,
# MOTE_PROTO_LIBRARY.

function(mote_proto_library target)
  cmake_parse_arguments(arg "" "REQUEST_MAX" "PROTOS;USES;IMPORT_DIRS;REFUSED;PREPARE" ${ARGN})
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${target}.gen)
  file(MAKE_DIRECTORY ${out})

  set(roots ${CMAKE_CURRENT_SOURCE_DIR} ${arg_IMPORT_DIRS})
  foreach(library ${arg_USES})
    get_target_property(more ${library} MOTE_PROTO_ROOTS)
    list(APPEND roots ${more})
  endforeach()
  list(REMOVE_DUPLICATES roots)
  list(TRANSFORM roots PREPEND -I OUTPUT_VARIABLE proto_paths)
  list(TRANSFORM roots PREPEND --nanopb_opt=-I OUTPUT_VARIABLE options_paths)

  set(inputs ${MOTE_PROTOC_GEN_MOTE})
  foreach(proto ${arg_PROTOS})
    unset(file)
    foreach(root ${roots})
      if(NOT file AND EXISTS ${root}/${proto})
        set(file ${root}/${proto})
      endif()
    endforeach()
    if(NOT file)
      message(FATAL_ERROR "mote_proto_library(${target}): ${proto} is in none of ${roots}")
    endif()
    string(REGEX REPLACE "\\.proto$" "" base ${proto})
    list(APPEND inputs ${file})
    foreach(root ${roots})
      if(EXISTS ${root}/${base}.options)
        list(APPEND inputs ${root}/${base}.options)
      endif()
    endforeach()
    list(APPEND headers ${out}/${base}.pb.h ${out}/${base}.mote.h)
    list(APPEND sources ${out}/${base}.pb.c ${out}/${base}.mote.c)
    # The plugin writes a service table where there are services, so which files there are depends on the .proto.
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(STRINGS ${file} services REGEX "^[ \t]*service[ \t]+[A-Za-z_]")
    if(services)
      list(APPEND service_sources ${out}/${base}.service.mote.c)
    endif()
  endforeach()

  list(TRANSFORM arg_REFUSED PREPEND refused= OUTPUT_VARIABLE parameter)
  list(TRANSFORM arg_PREPARE PREPEND prepare=)
  list(APPEND parameter ${arg_PREPARE})
  if(arg_REQUEST_MAX)
    list(APPEND parameter request_max=${arg_REQUEST_MAX})
  endif()
  if(parameter)
    list(JOIN parameter "," parameter)
    string(APPEND parameter ":")
  endif()
  add_custom_command(
    OUTPUT ${headers} ${sources} ${service_sources}
    COMMAND ${MOTE_PROTOC} ${proto_paths}
      --plugin=protoc-gen-nanopb=${MOTE_PROTOC_GEN_NANOPB} --plugin=protoc-gen-mote=${MOTE_PROTOC_GEN_MOTE}
      ${options_paths} --nanopb_opt=-stype:FT_STATIC --nanopb_opt=--error-on-unmatched --nanopb_opt=-q
      --nanopb_out=${out} --mote_out=${parameter}${out} ${arg_PROTOS}
    DEPENDS ${inputs}
    COMMENT "Generating C of the .proto files of ${target}"
    VERBATIM)

  add_library(${target} STATIC ${sources} ${headers})
  set_target_properties(${target} PROPERTIES MOTE_PROTO_ROOTS "${roots}")
  target_include_directories(${target} PUBLIC ${out})
  target_link_libraries(${target} PUBLIC ${MOTE_PROTO_LIBRARY} mote::lib::nanopb ${arg_USES})
  if(service_sources)
    add_library(${target}_service OBJECT ${service_sources})
    target_link_libraries(${target}_service PUBLIC ${target})
    add_dependencies(${target}_service ${target})
  endif()
endfunction()
