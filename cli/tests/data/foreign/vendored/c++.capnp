# A copy of what Cap'n Proto's own file of this name declares, kept beside what imports it.
@0xbdf87d7bb8304e81;

annotation namespace(file) :Text;
annotation name(field, enumerant, struct, enum, interface, method, param, group, union) :Text;
